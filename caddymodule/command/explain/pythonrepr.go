package explain

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// pythonBytes is what an f-string makes of bytes: b'…', quotes and all.
func pythonBytes(data []byte) []byte {
	var out bytes.Buffer
	quote := pythonQuote(string(data))
	out.WriteByte('b')
	out.WriteByte(quote)
	for _, c := range data {
		switch {
		case c == quote || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c == '\n':
			out.WriteString(`\n`)
		case c == '\r':
			out.WriteString(`\r`)
		case c == '\t':
			out.WriteString(`\t`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&out, `\x%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte(quote)
	return out.Bytes()
}

// pythonDict is what an f-string makes of a parsed body: Python's own notation.
func pythonDict(v value) []byte {
	var out bytes.Buffer
	writePython(&out, &v)
	return out.Bytes()
}

func writePython(out *bytes.Buffer, v *value) {
	switch v.kind {
	case '{', '[':
		out.WriteByte(v.kind)
		order := v.order(unrepeated)
		for n, i := range order {
			if n > 0 {
				out.WriteString(", ")
			}
			if v.kind == '{' {
				writePythonString(out, v.keys[i])
				out.WriteString(": ")
			}
			writePython(out, &v.items[i])
		}
		out.WriteByte(v.kind + 2)
	case '"':
		writePythonString(out, v.text)
	case '0':
		out.WriteString(pythonNumber(v.text))
	default:
		out.WriteString(map[string]string{"true": "True", "false": "False", "null": "None"}[v.text])
	}
}

func pythonQuote(s string) byte {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return '"'
	}
	return '\''
}

func writePythonString(out *bytes.Buffer, s string) {
	quote := pythonQuote(s)
	out.WriteByte(quote)
	for at := 0; at < len(s); {
		r, size := nextRune(s[at:])
		at += size
		switch {
		case r == rune(quote) || r == '\\':
			out.WriteByte('\\')
			out.WriteByte(byte(r))
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(out, `\u%04x`, r)
		default:
			fmt.Fprintf(out, `\U%08x`, r)
		}
	}
	out.WriteByte(quote)
}
