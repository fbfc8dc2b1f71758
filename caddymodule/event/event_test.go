package event

import (
	"slices"
	"strings"
	"testing"
)

const (
	workspace = "2f8a1c5e-1b7d-4f0e-8c1a-6b0f9d3e7a21"
	webhook   = "9c7b2d4a-3e5f-4a6b-8c9d-0e1f2a3b4c5d"
	recordOne = "11111111-2222-4333-8444-555555555555"
	target    = "https://app.example/hook?a=1&b=2"

	recordBody = `{"targetUrl":"` + target + `","eventName":"person.created",` +
		`"objectMetadata":{"id":"4b4f6c3e-7d0e-4f6a-9d58-8d5b1a4b6f10","nameSingular":"person"},` +
		`"workspaceId":"` + workspace + `","webhookId":"` + webhook + `","eventDate":"2026-01-02T03:04:05.678Z",` +
		`"record":{"name":{"id":"inner","firstName":"Zoë \"Z\" 東京 😀"},"id":"` + recordOne + `","n":[-0.5e+3,0,{},[]]},"updatedFields":["id"]}`
	metadataBody = `{"targetUrl":"` + target + `","eventName":"metadata.fieldMetadata.updated","workspaceId":"` + workspace +
		`","webhookId":"` + webhook + `","eventDate":"2026-01-02T03:04:05.678Z","userId":null,` +
		`"event":{"metadataName":"fieldMetadata","recordId":"` + recordOne + `","properties":{"id":"no"},"type":"updated"}}`
	documentBody = `{"event":"person.created","data":{"id":"abc12345","firstName":"Alice"},"timestamp":"2025-02-10T15:30:50Z"}`
)

func once(value string) Field { return Field{Value: value, Standing: Single} }

func TestShapes(t *testing.T) {
	pinned := Envelope{Workspace: once(workspace), Webhook: once(webhook), Target: once(target)}
	with := func(name, object, action, id string) Envelope {
		e := pinned
		e.Event, e.Object, e.Action, e.RecordID = name, object, action, id
		return e
	}
	for _, tc := range []struct {
		name, body string
		want       Envelope
	}{
		{"a record event", recordBody, with("person.created", "person", "created", recordOne)},
		{"a metadata event", metadataBody, with("metadata.fieldMetadata.updated", "fieldMetadata", "updated", recordOne)},
		{"as the document has it", documentBody, Envelope{Event: "person.created", Object: "person", Action: "created", RecordID: "abc12345"}},
		{"the document's own language", `{"event":"persoon.aangemaakt"}`, Envelope{Event: "persoon.aangemaakt", Object: "persoon", Action: "aangemaakt"}},
		{"white space", " \t\r\n{ \"eventName\" :\n\"a.b\" , \"record\" : { \"id\" : \"1\" } } \n", Envelope{Event: "a.b", Object: "a", Action: "b", RecordID: "1"}},
		{"an object that is called metadata", `{"eventName":"metadata.created","event":{"recordId":"no"},"record":{"id":"1"}}`,
			Envelope{Event: "metadata.created", Object: "metadata", Action: "created", RecordID: "1"}},
		{"both names", `{"eventName":"a.b","event":"c.d","record":{"id":"1"},"data":{"id":"2"}}`, Envelope{Event: "a.b", Object: "a", Action: "b", RecordID: "1"}},
		{"a record in the document's shape", `{"event":"a.b","record":{"id":"1"}}`, Envelope{Event: "a.b", Object: "a", Action: "b"}},
		{"a name of one part", `{"eventName":"created"}`, Envelope{Event: "created"}},
		{"a name of four parts", `{"eventName":"metadata.a.b.c"}`, Envelope{Event: "metadata.a.b.c"}},
		{"a name of empty parts", `{"eventName":"metadata..x"}`, Envelope{Event: "metadata..x"}},
		{"a metadata name of empty parts", `{"eventName":"metadata..x","event":{"recordId":"1"},"record":{"id":"2"}}`, Envelope{Event: "metadata..x", RecordID: "1"}},
		{"an empty name", `{"eventName":""}`, Envelope{}},
		{"an empty object", `{}`, Envelope{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Read([]byte(tc.body)); got != tc.want {
				t.Errorf("it says\n%+v, want\n%+v", got, tc.want)
			}
		})
	}
}

// TestSamplesAreRead: what this package makes, it reads.
func TestSamplesAreRead(t *testing.T) {
	const id = "22222222-0000-4000-8000-" + sampleNode
	for _, name := range []string{"person.created", "rocketLaunch.destroyed", "metadata.objectMetadata.created"} {
		body, err := Sample(name, SampleOptions{TargetURL: target, ID: func() string { return id }})
		if err != nil {
			t.Fatal(err)
		}
		object, action, _ := split(name)
		want := Envelope{name, object, action, id, once(SampleWorkspaceID), once(SampleWebhookID), once(target)}
		if got := Read(body); got != want {
			t.Errorf("%s says\n%+v, want\n%+v", name, got, want)
		}
	}
}

// TestAmbiguousIsEmpty: whatever else an app may read, it is no value here.
func TestAmbiguousIsEmpty(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       Field
	}{
		{"once", `{"workspaceId":"a"}`, once("a")},
		{"escaped key", `{"\u0077orkspace\u0049d":"a"}`, once("a")},
		{"escaped value", `{"workspaceId":"\u0061\/"}`, once("a/")},
		{"not there", `{"a":{"workspaceId":"a"},"b":[{"workspaceId":"a"}]}`, Field{}},
		{"twice", `{"workspaceId":"a","workspaceId":"b"}`, Field{Standing: Doubled}},
		{"twice the same", `{"workspaceId":"a","x":1,"workspaceId":"a"}`, Field{Standing: Doubled}},
		{"the second one escaped", `{"workspaceId":"a","\u0077orkspaceId":"b"}`, Field{Standing: Doubled}},
		{"the first one escaped", `{"workspace\u0049d":"a","workspaceId":"b"}`, Field{Standing: Doubled}},
		{"the second one in another case", `{"workspaceId":"a","WORKSPACEID":"b"}`, Field{Standing: Doubled}},
		{"the first one in another case", `{"workspaceid":"a","workspaceId":"b"}`, Field{Standing: Doubled}},
		{"a long s and a Kelvin sign", `{"workspaceId":"a","wor\u212a\u017fpaceId":"b"}`, Field{Standing: Doubled}},
		{"the second one is no text", `{"workspaceId":"a","workspaceId":{"x":[]}}`, Field{Standing: Doubled}},
		{"in another case only", `{"WorkspaceId":"a"}`, Field{}},
		{"a number", `{"workspaceId":1}`, Field{Standing: Single}},
		{"null", `{"workspaceId":null}`, Field{Standing: Single}},
		{"an object", `{"workspaceId":{"id":"a"}}`, Field{Standing: Single}},
		{"empty", `{"workspaceId":""}`, Field{Standing: Single}},
		{"a NUL", `{"workspaceId":"a\u0000"}`, Field{Standing: Single}},
		{"a line break", `{"workspaceId":"a\r\nX-Header: b"}`, Field{Standing: Single}},
		{"a character that deletes", `{"workspaceId":"a\u007f"}`, Field{Standing: Single}},
		{"nothing but what shows as nothing", `{"workspaceId":"\u200b"}`, Field{Standing: Single}},
		{"a character that shows as nothing", `{"workspaceId":"a\u200b"}`, Field{Standing: Single}},
		{"as long as may be", `{"workspaceId":"` + strings.Repeat("a", MaxValue) + `"}`, once(strings.Repeat("a", MaxValue))},
		{"too long", `{"workspaceId":"` + strings.Repeat("a", MaxValue+1) + `"}`, Field{Standing: Single}},
		{"too long, and an escape after that", `{"workspaceId":"` + strings.Repeat("a", MaxValue+1) + `\u0041"}`, Field{Standing: Single}},
		{"a surrogate pair", `{"workspaceId":"\ud83d\ude00"}`, once("😀")},
		{"two halves the wrong way round", `{"workspaceId":"\ude00\ud83d"}`, once("\uFFFD\uFFFD")},
		{"a half before a pair", `{"workspaceId":"\ud83d\ud83d\ude00"}`, once("\uFFFD😀")},
		{"a pair and a half", `{"workspaceId":"\ud83d\ude00\ude00"}`, once("😀\uFFFD")},
		{"a pair and a pair", `{"workspaceId":"\ud83d\ude00\ud83d\ude00"}`, once("😀😀")},
		{"a half, an escape and a half", `{"workspaceId":"\ud83d\u0041\ude00"}`, once("\uFFFDA\uFFFD")},
		{"halves apart", `{"workspaceId":"\ud83dx\ude00"}`, once("\uFFFDx\uFFFD")},
		{"a pair at the limit", `{"workspaceId":"` + strings.Repeat("a", MaxValue-4) + `\ud83d\ude00"}`, once(strings.Repeat("a", MaxValue-4) + "😀")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Read([]byte(tc.body)).Workspace; got != tc.want {
				t.Errorf("it is %+v, want %+v", got, tc.want)
			}
			for _, other := range []string{"webhookId", "targetUrl"} {
				e := Read([]byte(strings.NewReplacer("workspaceId", other, "orkspaceId", other[1:], "workspace\\u0049d", other,
					"orkspace\\u0049d", other[1:], "\\u0077", "\\u00"+map[string]string{"webhookId": "77", "targetUrl": "74"}[other]).Replace(tc.body)))
				if got := map[string]Field{"webhookId": e.Webhook, "targetUrl": e.Target}[other]; !strings.Contains(tc.name, "case") && !strings.Contains(tc.name, "Kelvin") && got != tc.want {
					t.Errorf("%s: it is %+v, want %+v", other, got, tc.want)
				}
			}
		})
	}
}

func TestAmbiguousNamesAndIDs(t *testing.T) {
	for _, tc := range []struct{ name, body, event, id string }{
		{"the name twice", `{"eventName":"a.b","eventName":"c.d","record":{"id":"1"}}`, "", "1"},
		{"the name twice beside the document's", `{"eventName":"a.b","eventName":"c.d","event":"e.f"}`, "", ""},
		{"the name in another case beside the document's", `{"EVENTNAME":"a.b","event":"e.f"}`, "", ""},
		{"the document's name twice", `{"event":"a.b","event":"c.d","data":{"id":"1"}}`, "", "1"},
		{"two records", `{"eventName":"a.b","record":{"id":"1"},"record":{"x":"2"}}`, "a.b", ""},
		{"a record and a Record", `{"eventName":"a.b","record":{"id":"1"},"Record":{"id":"2"}}`, "a.b", ""},
		{"two ids", `{"eventName":"a.b","record":{"id":"1","id":"2"}}`, "a.b", ""},
		{"an id and an ID", `{"eventName":"a.b","record":{"ID":"1","id":"2"}}`, "a.b", ""},
		{"an id that is a number", `{"eventName":"a.b","record":{"id":1}}`, "a.b", ""},
		{"a record that is text", `{"eventName":"a.b","record":"id"}`, "a.b", ""},
		{"a name that is an object", `{"eventName":{"eventName":"a.b"}}`, "", ""},
		{"HTML", `{"eventName":"<img src=x onerror=alert(1)>.b"}`, "<img src=x onerror=alert(1)>.b", ""},
		{"as long as may be", `{"eventName":"` + strings.Repeat("a", MaxName) + `"}`, strings.Repeat("a", MaxName), ""},
		{"too long", `{"eventName":"` + strings.Repeat("a", MaxName+1) + `"}`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if e := Read([]byte(tc.body)); e.Event != tc.event || e.RecordID != tc.id {
				t.Errorf("it is the event %q of %q, want %q of %q", e.Event, e.RecordID, tc.event, tc.id)
			}
		})
	}
}

// notJSON has an event at its start, and after it what no JSON object has.
var notJSON = map[string]string{
	"cut off":                      `{"eventName":"a.b"`,
	"cut off in a string":          `{"eventName":"a.b`,
	"cut off in a character":       "{\"eventName\":\"a\xe2\x82",
	"cut off after a backslash":    `{"eventName":"a\`,
	"something after it":           `{"eventName":"a.b"}x`,
	"a second object":              `{"eventName":"a.b"}{}`,
	"a NUL after it":               "{\"eventName\":\"a.b\"}\x00",
	"a comma too many":             `{"eventName":"a.b",}`,
	"a comma too many in a list":   `{"eventName":"a.b","x":[1,]}`,
	"no comma":                     `{"eventName":"a.b" "x":1}`,
	"no colon":                     `{"eventName" "a.b"}`,
	"a key without quotes":         `{eventName:"a.b"}`,
	"single quotes":                `{'eventName':'a.b'}`,
	"a comment":                    `{"eventName":"a.b"/* */}`,
	"a control character":          "{\"eventName\":\"a.b\",\"x\":\"\n\"}",
	"a control character in a key": "{\"eventName\":\"a.b\",\"\t\":1}",
	"half of UTF-8":                "{\"eventName\":\"a.b\",\"x\":\"\xe2\x82\"}",
	"a surrogate in UTF-8":         "{\"eventName\":\"a.b\",\"x\":\"\xed\xa0\x80\"}",
	"no UTF-8 after it":            "{\"eventName\":\"a.b\"}\xff",
	"latin-1":                      "{\"eventName\":\"a.b\",\"x\":\"Zo\xeb\"}",
	"an unknown escape":            `{"eventName":"a.b","x":"\x"}`,
	"a short escape":               `{"eventName":"a.b","x":"\u12"}`,
	"a number with a zero":         `{"eventName":"a.b","x":01}`,
	"a number without digits":      `{"eventName":"a.b","x":-}`,
	"a number without a fraction":  `{"eventName":"a.b","x":1.}`,
	"a number without an exponent": `{"eventName":"a.b","x":1e}`,
	"a plus":                       `{"eventName":"a.b","x":+1}`,
	"not a number":                 `{"eventName":"a.b","x":NaN}`,
	"half a word":                  `{"eventName":"a.b","x":tru}`,
	"a list closed as an object":   `{"eventName":"a.b","x":[1}}`,
	"an object closed as a list":   `{"eventName":"a.b","x":{"y":1]}`,
	"an inner list in the way":     `{"eventName":"a.b","x":{"y":[1}]}`,
	"a byte order mark":            "\ufeff{\"eventName\":\"a.b\"}",
	"a list":                       `[{"eventName":"a.b"}]`,
	"a string":                     `"{\"eventName\":\"a.b\"}"`,
	"a form":                       `event=a.b&record=1`,
	"nothing":                      ``,
	"UTF-16":                       "\xff\xfe{\x00\"\x00",
}

func TestWhatIsNoJSONIsEmpty(t *testing.T) {
	for name, body := range notJSON {
		t.Run(name, func(t *testing.T) {
			if got := Read([]byte(body)); got != (Envelope{}) {
				t.Errorf("it says %+v", got)
			}
		})
	}
}

// TestPiecesMakeNoDifference: bodies lie in memory in pieces, whose ends fall
// anywhere.
func TestPiecesMakeNoDifference(t *testing.T) {
	bodies := []string{recordBody, metadataBody, documentBody, `{"eventName":"\ud83d\ude00.b\u0041","x":[true,false,null,-1.5e-7]}`}
	for _, body := range notJSON {
		bodies = append(bodies, body)
	}
	for _, body := range bodies {
		want := Read([]byte(body))
		for i := range len(body) + 1 {
			if got := Read([]byte(body[:i]), nil, []byte(body[i:])); got != want {
				t.Fatalf("cut at %d, %q says %+v, want %+v", i, body, got, want)
			}
		}
		var bytes [][]byte
		for i := range len(body) {
			bytes = append(bytes, []byte(body[i:i+1]))
		}
		if got := Read(bytes...); got != want {
			t.Errorf("byte by byte, %q says %+v, want %+v", body, got, want)
		}
	}
	if Read() != (Envelope{}) {
		t.Error("no pieces at all are not nothing")
	}
}

// TestNameIsReadFromTheHead: what comes after the name is not looked at.
func TestNameIsReadFromTheHead(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"twenty's", `{"targetUrl":"x","eventName":"person.created","record":{}}`, "person.created"},
		{"cut off behind it", `{"eventName":"person.created","rec`, "person.created"},
		{"twice", `{"eventName":"person.created","eventName":"note.deleted"}`, "person.created"},
		{"cut off in it", `{"eventName":"person.cre`, ""},
		{"twice, and text the second time", `{"eventName":1,"eventName":"note.deleted"}`, "note.deleted"},
		{"within the record only", `{"record":{"eventName":"no"}}`, ""},
		{"of the documentation", `{"event":"person.created","data":{"id":"1"},"timestamp":"t"}`, "person.created"},
		{"of the documentation, cut off", `{"event":"person.created","data"`, ""},
		{"metadata", `{"event":{"type":"x"},"eventName":"metadata.field.updated"}`, "metadata.field.updated"},
		{"not printable", `{"eventName":"a\u001bb"}`, ""},
		{"too long", `{"eventName":"` + strings.Repeat("a", MaxName+1) + `"}`, ""},
		{"no JSON", `eventName`, ""},
		{"nothing", ``, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for cut := range len(tc.body) + 1 {
				if got := Name([]byte(tc.body[:cut]), []byte(tc.body[cut:])); got != tc.want {
					t.Fatalf("cut at %d: %q, want %q", cut, got, tc.want)
				}
			}
		})
	}
}

// TestDepthIsBounded: what is hostile costs no stack.
func TestDepthIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name  string
		depth int
		want  string
	}{{"as deep as may be", MaxDepth, "a.b"}, {"deeper", MaxDepth + 1, ""}, {"a body full of it", 2 << 20, ""}} {
		for open, end := range map[string]string{"[": "]", `{"a":`: "}"} {
			for _, key := range []string{"x", "workspaceId"} {
				t.Run(tc.name+" "+key+" "+open, func(t *testing.T) {
					inner := strings.Repeat(open, tc.depth-1)
					if open == "[" {
						inner += "["
					} else {
						inner += "{"
					}
					body := `{"eventName":"a.b","` + key + `":` + inner + strings.Repeat(end, tc.depth) + `}`
					if got := Read([]byte(body)).Event; got != tc.want {
						t.Errorf("the event is %q, want %q", got, tc.want)
					}
				})
			}
		}
	}
}

// TestWhatIsTooDeepIsNotTakenForItsEnd: the reading does not go on where it was
// given up.
func TestWhatIsTooDeepIsNotTakenForItsEnd(t *testing.T) {
	for _, open := range []string{"[", "{"} {
		body := `{"eventName":"a.b","x":` + strings.Repeat("[", MaxDepth) + open + `}`
		if got := Read([]byte(body)); got != (Envelope{}) {
			t.Errorf("it says %+v", got)
		}
	}
}

func TestValuesOutliveTheBody(t *testing.T) {
	body := []byte(recordBody)
	e := Read(body)
	clear(body)
	if e.Event != "person.created" || e.RecordID != recordOne || e.Workspace != once(workspace) || e.Target != once(target) {
		t.Errorf("after the memory went to another it says %+v", e)
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		fits    []string
		not     []string
	}{
		{"person.created", []string{"person.created"}, []string{"person.created ", "Person.created", "xperson.created", "person.create", ""}},
		{"person.*", []string{"person.created", "person.", "person.a.b"}, []string{"person", "people.created", "xperson.created"}},
		{"*.deleted", []string{"note.deleted", "metadata.view.deleted", ".deleted"}, []string{"note.deleted2", "deleted", "note.destroyed"}},
		{"metadata.*", []string{"metadata.view.created", "metadata.x"}, []string{"metadata", "person.created"}},
		{"metadata.*.created", []string{"metadata.view.created", "metadata..created"}, []string{"metadata.created", "metadata.view.updated"}},
		{"*", []string{"", "a", "a.b.c"}, nil},
		{"**", []string{"", "a"}, nil},
		{"*.*", []string{"a.b", ".", "a.b.c"}, []string{"a", ""}},
		{"", []string{""}, []string{"a"}},
		{"a*a", []string{"aa", "aba", "aaa"}, []string{"a", "ab"}},
		{"*ab*ab*", []string{"abab", "xabxabx"}, []string{"ab", "aba", "abxba"}},
		{"*aab", []string{"aaab", "aab"}, []string{"aaba", "ab"}},
		{"a?b", []string{"a?b"}, []string{"axb"}},
		{"[a]", []string{"[a]"}, []string{"a"}},
	} {
		for _, name := range tc.fits {
			if !Match(tc.pattern, name) {
				t.Errorf("%q does not fit %q", name, tc.pattern)
			}
		}
		for _, name := range tc.not {
			if Match(tc.pattern, name) {
				t.Errorf("%q fits %q", name, tc.pattern)
			}
		}
	}
}

// slowMatch is what a pattern means.
func slowMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] == '*' {
		return slowMatch(pattern[1:], name) || name != "" && slowMatch(pattern, name[1:])
	}
	return name != "" && name[0] == pattern[0] && slowMatch(pattern[1:], name[1:])
}

// TestMatchAgainstItsMeaning goes through all short patterns and names.
func TestMatchAgainstItsMeaning(t *testing.T) {
	names, patterns := words("ab", 6), words("ab*", 5)
	for _, pattern := range patterns {
		for _, name := range names {
			if got, want := Match(pattern, name), slowMatch(pattern, name); got != want {
				t.Fatalf("Match(%q, %q) is %v, want %v", pattern, name, got, want)
			}
		}
	}
}

// words returns all words of up to n letters.
func words(letters string, n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, word := range last {
			for _, letter := range letters {
				next = append(next, word+string(letter))
			}
		}
		all, last = append(all, next...), next
	}
	return slices.Clip(all)
}
