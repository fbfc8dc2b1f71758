package event

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzRead holds the scanner to encoding/json, wherever the body is cut.
func FuzzRead(f *testing.F) {
	for _, body := range []string{recordBody, metadataBody, documentBody} {
		f.Add([]byte(body), uint16(7), uint16(40))
	}
	for _, body := range notJSON {
		f.Add([]byte(body), uint16(len(body)/2), uint16(len(body)-1))
	}
	for _, body := range []string{
		`{"workspaceId":"a","WORKSPACEID":"b","webhookId":"\ud83d\ude00","targetUrl":"\ud83d\u0041"}`,
		`{"workspaceId":"\u00e9\u0000","webhook\u0049d":null,"record":{"id":[]},"event":{"recordId":"1"}}`,
	} {
		f.Add([]byte(body), uint16(20), uint16(40))
	}
	f.Fuzz(func(t *testing.T, body []byte, first, second uint16) {
		want := oracle(body)
		i := min(int(first), len(body))
		j := min(max(int(second), i), len(body))
		before := bytes.Clone(body)
		if got := Read(body[:i], body[i:j], body[j:]); got != want {
			t.Errorf("%q says\n%+v, want\n%+v", body, got, want)
		}
		if !bytes.Equal(before, body) {
			t.Error("the body was changed")
		}
	})
}

// TestNearMissesAreReadAlike holds the scanner to encoding/json at each byte of a
// body that has everything in it: without that byte, with another in its place,
// and with another before it.
func TestNearMissesAreReadAlike(t *testing.T) {
	for _, body := range []string{
		`{"eventName":"a.b","x":[true,false,null,-1.5e+7,0.25E-39,90,0,{"y":{},"z":[[]]},[5]],"webhookId":"1"}`,
		`{"eventName":"a.b","workspaceId":"\u00eF\ud83d\ude00\n\\\"","record":{"n":{"a":"b\/é"},"id":"1"},"event":{}}`,
		` {"event" : "a.b", "data" : { "id" : "\b\f\r\t1" }, "x" : [ 1 , 2 ] } `,
	} {
		check := func(parts ...string) {
			got := []byte(strings.Join(parts, ""))
			if e, want := Read(got), oracle(got); e != want {
				t.Errorf("%q says\n%+v, want\n%+v", got, e, want)
			}
		}
		check(body)
		for i := range len(body) {
			check(body[:i])
			check(body[:i], body[i+1:])
			for _, c := range []byte("{}[]\":,\\ \t\n\r\x00\x1f!/019-+.eEtrufalsnxb@AFG`g\x7f\x80\xbf\xc3\xe2\xff") {
				check(body[:i], string([]byte{c}), body[i+1:])
				check(body[:i], string([]byte{c}), body[i:])
			}
		}
	}
}

// FuzzMatch holds Match to what a pattern means.
func FuzzMatch(f *testing.F) {
	f.Add("person.*", "person.created")
	f.Add("*a*b*", "aabb")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 16 {
			return // the straight way takes exponential time
		}
		if got, want := Match(pattern, name), slowMatch(pattern, name); got != want {
			t.Errorf("Match(%q, %q) is %v, want %v", pattern, name, got, want)
		}
	})
}

// keyValue is a member of an object.
type keyValue struct {
	key   string
	value json.RawMessage
}

// members returns those of an object, nil for what is none.
func members(body []byte) []keyValue {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var all []keyValue
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			panic(err) // it was valid
		}
		member := keyValue{key: key.(string)}
		if err := decoder.Decode(&member.value); err != nil {
			panic(err)
		}
		all = append(all, member)
	}
	return all
}

// look returns what stands under a key, and how the key stands.
func look(body []byte, key string) (json.RawMessage, Standing, bool) {
	var value json.RawMessage
	exact, all := 0, 0
	for _, m := range members(body) {
		if m.key == key {
			exact++
			value = m.value
		}
		if strings.EqualFold(m.key, key) {
			all++
		}
	}
	switch {
	case exact == 0:
		return nil, Missing, all > 0
	case all > 1:
		return nil, Doubled, true
	}
	return value, Single, true
}

func textOf(value json.RawMessage, most int) string {
	var text string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &text) != nil || len(text) > most {
		return ""
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

func textIn(body []byte, key string, most int) string {
	value, _, _ := look(body, key)
	return textOf(value, most)
}

// oracle is Read, made of encoding/json and nothing to save time.
func oracle(body []byte) Envelope {
	if !json.Valid(body) || !utf8.Valid(body) || depth(body) > MaxDepth+1 {
		return Envelope{}
	}
	field := func(key string) Field {
		value, standing, _ := look(body, key)
		return Field{textOf(value, MaxValue), standing}
	}
	e := Envelope{Workspace: field("workspaceId"), Webhook: field("webhookId"), Target: field("targetUrl")}
	_, _, isWire := look(body, "eventName")
	nameKey, inner, idKey := "event", "data", "id"
	if isWire {
		nameKey, inner = "eventName", "record"
	}
	e.Event = textIn(body, nameKey, MaxName)
	parts := strings.Split(e.Event, ".")
	if len(parts) == 3 && parts[0] == "metadata" {
		parts = parts[1:]
		if isWire {
			inner, idKey = "event", "recordId"
		}
	}
	if len(parts) == 2 && parts[0] != "" && parts[1] != "" {
		e.Object, e.Action = parts[0], parts[1]
	}
	value, _, _ := look(body, inner)
	e.RecordID = textIn(value, idKey, MaxValue)
	return e
}

// depth is how many values stand within each other, the outermost included.
func depth(body []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(body))
	deepest, now := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}
