package explain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twentygate/twentygate/caddymodule/signature"
	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// The corpus is testdata/captures, and what is in testdata/fuzz.
func addCaptures(f *testing.F, form string) {
	for _, c := range captures(f) {
		if c.Form != form {
			continue
		}
		data, err := openCapture(c.File)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// examine judges what a reader made of some bytes.
func examine(t *testing.T, size int, r *Request, err error) {
	if err != nil {
		if r != nil || err.Error() == "" || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
			t.Fatalf("request %v, error %q", r, err)
		}
		return
	}
	if len(r.Body)+len(r.Behind) > 3*size+3 {
		t.Fatalf("of %d bytes came a body of %d", size, len(r.Body))
	}
	secret := []byte("a secret for a test")
	got := Diagnose(r, Options{Secrets: [][]byte{secret}, work: 256 << 10})
	key, _ := signature.NewKey(secret)
	header, err := signature.ParseHeader(r.Header)
	genuine := err == nil && key.Verify(header.Signature, header.Timestamp, r.Body)
	if got.Verdict == verdict.Verified && !genuine {
		t.Fatal("a forgery is verified")
	}
	if got.Hint == "" || strings.ContainsAny(got.Hint, "\n\r\x00\x1b") || !utf8.ValidString(got.Hint) || (got.Cause == "") != (got.Verdict == verdict.Verified) {
		t.Fatalf("%s, %s: %q", got.Verdict, got.Cause, got.Hint)
	}
}

func FuzzReadRaw(f *testing.F) {
	addCaptures(f, "raw")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadRaw(data)
		examine(t, len(data), r, err)
	})
}

func FuzzReadCurl(f *testing.F) {
	addCaptures(f, "curl")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadCurl(data, func(string) ([]byte, error) { return nil, nil })
		examine(t, len(data), r, err)
	})
}

func FuzzFromParts(f *testing.F) {
	f.Add("Content-Length: 2\nX-Twenty-Webhook-Signature: ab", []byte("body"))
	f.Add("Transfer-Encoding: chunked\nContent-Encoding: gzip", []byte("2\r\nab\r\n0\r\n\r\n"))
	f.Add(": \n\x00", []byte{})
	f.Fuzz(func(t *testing.T, headers string, body []byte) {
		r, err := FromParts(strings.Split(headers, "\n"), body)
		examine(t, len(body), r, err)
	})
}

// What is written anew must mean the same, in whatever style.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.50,-0,1e400,"\ud83d\ude00\ud800\u0000"],"":null,"10":true,"9":[]}`, `"a\/b"`, `[[{}]]`, "[1,", `{"a":1,"a":2}`, "tru"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, stopped, ended, ok := parseJSON(text)
		if stopped > len(text) || ended != (stopped == len(text)) && utf8.Valid(text) {
			t.Fatalf("stopped at %d of %d, ended %v", stopped, len(text), ended)
		}
		if ok && !json.Valid(text) || !ok && json.Valid(text) && utf8.Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) < maxDepth {
			t.Fatalf("%q is JSON: %v", text, ok)
		}
		if !ok {
			return
		}
		m := &material{body: text}
		for _, w := range writerRows {
			if out := w.style.write(v); !json.Valid(out) && w.style.escapes.ascii {
				if !bytes.Contains(out, []byte("Infinity")) {
					t.Fatalf("%s wrote %q", w.name, out)
				}
			}
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, plainOf.write(v)); err == nil && !bytes.Equal(compact.Bytes(), plainOf.write(v)) {
			t.Fatalf("not compact: %q", plainOf.write(v))
		}
		for _, row := range slices.Concat(jsonRows(), rareJSONRows(), byteRows) {
			row.body(m)
		}
	})
}

// A command is cut as what it was put together from, quoted in any way.
func FuzzShellWords(f *testing.F) {
	f.Add("a'b\"c\\d\ne$f`g é", byte(0))
	f.Fuzz(func(t *testing.T, text string, how byte) {
		if strings.Contains(text, "\x00") || !utf8.ValidString(text) {
			return
		}
		var quoted string
		switch how % 3 {
		case 0:
			quoted = "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
		case 1:
			quoted = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(text) + `"`
		default:
			quoted = "$'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(text) + "'"
		}
		words, _, err := shellWords("curl -d " + quoted + " x\n")
		if err != nil || len(words) != 4 || words[2].text != text {
			t.Fatalf("%q became %v, %v", quoted, words, err)
		}
	})
}

// A body that is read only so far is not said to be no JSON.
func TestJSONIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"values": "[" + strings.Repeat("0,", maxValues) + "0]",
		"depth":  strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2),
		"size":   `"` + strings.Repeat("x", maxJSON) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, stopped, ended, ok := parseJSON([]byte(text)); ok || ended || stopped != -1 {
				t.Errorf("ok %v, ended %v, stopped at %d", ok, ended, stopped)
			}
			r := sign(t, []byte("another"), 1735066639761, []byte(text))
			if got := Diagnose(r, Options{Secrets: [][]byte{[]byte("secret")}, work: 1}); strings.Contains(got.Hint, "no JSON") {
				t.Error(got.Hint)
			}
		})
	}
}
