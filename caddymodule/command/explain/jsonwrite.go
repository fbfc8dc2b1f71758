package explain

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// style is how a language or a tool writes JSON.
type style struct {
	item, key string // what stands after a value and after a key
	indent    string // of one level; "" writes everything on one line
	spaced    bool   // [ 1, 2 ] instead of [1, 2], as Jackson indents
	escapes   escapes
	order     func(v *value) []int
	number    func(text string) string
}

// escapes says which characters stand as escapes, beside those that must.
type escapes struct {
	ascii     bool   // all that is not ASCII, as \u00e9
	upper     bool   // hex digits in upper case
	slash     bool   // \/
	special   string // these as \u003c
	quote     bool   // " as \u0022, as .NET does
	del       bool   // 0x7f
	separator bool   // U+2028 and U+2029
}

func (st *style) write(v value) []byte {
	w := &jsonWriter{style: st, plain: st.escapes.plain()}
	w.value(&v, 0)
	return w.out.Bytes()
}

type jsonWriter struct {
	*style
	plain [128]bool
	out   bytes.Buffer
}

func (w *jsonWriter) value(v *value, depth int) {
	switch v.kind {
	case '{', '[':
		w.collection(v, depth)
	case '"':
		w.escapes.write(&w.out, &w.plain, v.text)
	case '0':
		if w.number != nil {
			w.out.WriteString(w.number(v.text))
			return
		}
		w.out.WriteString(v.text)
	default:
		w.out.WriteString(v.text)
	}
}

func (w *jsonWriter) collection(v *value, depth int) {
	closing := v.kind + 2 // true of both kinds of brackets
	w.out.WriteByte(v.kind)
	broken := w.indent != "" && len(v.items) > 0 && (!w.spaced || v.kind == '{')
	order := v.order(w.order)
	for n, i := range order {
		if n > 0 {
			w.out.WriteString(w.item)
		}
		switch {
		case broken:
			w.line(depth + 1)
		case w.spaced && n == 0:
			w.out.WriteByte(' ')
		}
		if v.kind == '{' {
			w.escapes.write(&w.out, &w.plain, v.keys[i])
			w.out.WriteString(w.key)
		}
		inner := depth + 1
		if w.spaced && v.kind == '[' {
			inner = depth
		}
		w.value(&v.items[i], inner)
	}
	switch {
	case broken:
		w.line(depth)
	case w.spaced:
		w.out.WriteByte(' ')
	}
	w.out.WriteByte(closing)
}

func (w *jsonWriter) line(depth int) {
	w.out.WriteByte('\n')
	for range depth {
		w.out.WriteString(w.indent)
	}
}

func (v *value) order(by func(*value) []int) []int {
	if v.kind == '{' && by != nil {
		return by(v)
	}
	order := make([]int, len(v.items))
	for i := range order {
		order[i] = i
	}
	return order
}

// unrepeated keeps of each key the last value in the first place, as all
// languages do that read an object into a map that has an order.
func unrepeated(v *value) []int {
	order := make([]int, 0, len(v.keys))
	place := make(map[string]int, len(v.keys))
	for i, key := range v.keys {
		if at, found := place[key]; found {
			order[at] = i
			continue
		}
		place[key] = len(order)
		order = append(order, i)
	}
	return order
}

func sorted(v *value) []int {
	order := unrepeated(v)
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(v.keys[a], v.keys[b]) })
	return order
}

// jsOrder has the keys that are array indexes first, by their value: that is
// how a JavaScript object holds them.
func jsOrder(v *value) []int {
	order := unrepeated(v)
	slices.SortStableFunc(order, func(a, b int) int {
		x, isX := arrayIndex(v.keys[a])
		y, isY := arrayIndex(v.keys[b])
		switch {
		case isX && isY:
			return int(x - y)
		case isX:
			return -1
		case isY:
			return 1
		}
		return 0
	})
	return order
}

func arrayIndex(key string) (int64, bool) {
	n, ok := parseLength(key)
	return n, ok && n < 1<<32-1 && (key == "0" || key[0] != '0')
}

// byLength is how PostgreSQL's jsonb and MySQL's JSON hold an object's keys.
func byLength(v *value) []int {
	order := sorted(v)
	slices.SortStableFunc(order, func(a, b int) int { return len(v.keys[a]) - len(v.keys[b]) })
	return order
}

// plain are the ASCII characters that stand as they are.
func (e *escapes) plain() (plain [128]bool) {
	for r := range rune(128) {
		plain[r] = e.escape(r) == ""
	}
	return plain
}

func (e *escapes) write(out *bytes.Buffer, asItIs *[128]bool, s string) {
	out.WriteByte('"')
	plain := 0 // where the run of characters begins that stand as they are
	for at := 0; at < len(s); {
		if s[at] < 0x80 && asItIs[s[at]] {
			at++
			continue
		}
		r, size := rune(s[at]), 1
		if r >= 0x80 {
			r, size = nextRune(s[at:])
		}
		if escaped := e.escape(r); escaped != "" {
			out.WriteString(s[plain:at])
			out.WriteString(escaped)
			plain = at + size
		}
		at += size
	}
	out.WriteString(s[plain:])
	out.WriteByte('"')
}

func (e *escapes) escape(r rune) string {
	switch {
	case r == '"' && !e.quote:
		return `\"`
	case r == '\\':
		return `\\`
	case r < ' ':
		if i := strings.IndexByte("\b\f\n\r\t", byte(r)); i >= 0 {
			return [...]string{`\b`, `\f`, `\n`, `\r`, `\t`}[i]
		}
	case r == '/':
		if e.slash {
			return `\/`
		}
		return ""
	case r < 0x7f:
		if !(e.quote && r == '"') && !strings.ContainsRune(e.special, r) {
			return ""
		}
	case r == 0x7f:
		if !e.del {
			return ""
		}
	case !e.ascii && !isSurrogate(r) && !(e.separator && (r == 0x2028 || r == 0x2029)):
		return ""
	}
	format := `\u%04x`
	if e.upper {
		format = `\u%04X`
	}
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(format+format, high, low)
	}
	return fmt.Sprintf(format, r)
}
