package explain

import (
	"bytes"
	"slices"
	"sync"
)

// jsonCost is what writing a body anew costs, beside hashing it.
const jsonCost = 6

const (
	byTwenty = "That is how Twenty writes it, so the body was parsed and written anew after it was signed: by a proxy, or by the tool that made the capture. "
	bySender = "The signer parsed the body and wrote it anew, and not what was sent. "
	useRaw   = "Sign the bytes that are sent, and verify the bytes that came."
)

type writerRow struct {
	name  string
	style style
	mend  string
	sorts bool // the keys already, or as another row does
}

var (
	jsOf     = style{item: ",", key: ":", order: jsOrder, number: jsNumber, escapes: escapes{}}
	pythonOf = style{item: ", ", key: ": ", order: unrepeated, number: pythonNumber, escapes: escapes{ascii: true, del: true}}
	goOf     = style{item: ",", key: ":", order: sorted, number: goNumber, escapes: escapes{special: "<>&", separator: true}}
	phpOf    = style{item: ",", key: ":", order: unrepeated, number: phpNumber, escapes: escapes{ascii: true, slash: true}}
	rubyOf   = style{item: ",", key: ":", order: unrepeated, number: rubyNumber}
	javaOf   = style{item: ",", key: ":", order: unrepeated, number: javaNumber}
	dotnetOf = style{item: ",", key: ":", order: unrepeated, escapes: escapes{ascii: true, upper: true, del: true, quote: true, special: "<>&'+`"}}
	plainOf  = style{item: ",", key: ":"}
)

func (st style) with(change func(*style)) style {
	change(&st)
	return st
}

// indented breaks lines, as every language does it: with nothing behind commas.
func (st style) indented(indent string) style {
	st.indent, st.item, st.key = indent, ",", ": "
	return st
}

func (st style) compact() style {
	st.item, st.key = ",", ":"
	return st
}

func (st style) utf8() style {
	st.escapes.ascii, st.escapes.del = false, false
	return st
}

const pythonMend = "In Python send what was signed (data=body, not json=payload), and in a receiver take request.get_data() or await request.body(). "

// writerRows are the ways of languages and tools to write JSON.
var writerRows = []writerRow{
	{"JSON.stringify", jsOf, byTwenty + useRaw, false},
	{"JSON without the blanks between its parts", plainOf, byTwenty + useRaw, false},
	{"JSON.stringify with an indent of 2", jsOf.indented("  "), bySender + useRaw, false},
	{"JSON.stringify with an indent of 4", jsOf.indented("    "), bySender + useRaw, false},
	{"JSON.stringify with tabs", jsOf.indented("\t"), bySender + useRaw, false},
	{"Python's json.dumps", pythonOf, bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with ensure_ascii=False", pythonOf.utf8(), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with separators=(\",\", \":\")", pythonOf.compact(), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps, compact with ensure_ascii=False", pythonOf.compact().utf8(), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with indent=2", pythonOf.indented("  "), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with indent=4", pythonOf.indented("    "), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with indent=2 and ensure_ascii=False", pythonOf.indented("  ").utf8(), bySender + pythonMend + useRaw, false},
	{"Python's json.dumps with indent=4 and ensure_ascii=False", pythonOf.indented("    ").utf8(), bySender + pythonMend + useRaw, false},
	{"Go's json.Marshal of a map", goOf, bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"Go's json.Marshal of a map, numbers as they were", goOf.with(func(s *style) { s.number = nil }), bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"Go's json.Marshal of a struct", goOf.with(func(s *style) { s.order = unrepeated }), bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"Go's json.MarshalIndent with two spaces", goOf.indented("  "), bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"Go's json.MarshalIndent with a tab", goOf.indented("\t"), bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"Go's json.Encoder without HTML escapes", goOf.with(func(s *style) { s.escapes.special = "" }), bySender + "In Go keep the bytes of io.ReadAll(r.Body). " + useRaw, true},
	{"PHP's json_encode", phpOf, bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"PHP's json_encode with JSON_UNESCAPED_SLASHES", phpOf.with(func(s *style) { s.escapes.slash = false }), bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"PHP's json_encode with JSON_UNESCAPED_UNICODE", phpOf.with(func(s *style) { s.escapes = escapes{slash: true, separator: true} }), bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"PHP's json_encode with both of JSON_UNESCAPED_…", phpOf.with(func(s *style) { s.escapes = escapes{separator: true} }), bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"PHP's json_encode with JSON_PRETTY_PRINT", phpOf.indented("    "), bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"PHP's json_encode with JSON_PRETTY_PRINT and JSON_UNESCAPED_SLASHES", phpOf.indented("    ").with(func(s *style) { s.escapes.slash = false }), bySender + "In PHP take file_get_contents('php://input'). " + useRaw, false},
	{"Ruby's JSON.generate", rubyOf, bySender + "In Ruby take request.raw_post. " + useRaw, false},
	{"Ruby's JSON.pretty_generate", rubyOf.indented("  "), bySender + "In Ruby take request.raw_post. " + useRaw, false},
	{"Rails' to_json", rubyOf.with(func(s *style) { s.escapes = escapes{special: "<>&", separator: true} }), bySender + "In Ruby take request.raw_post. " + useRaw, false},
	{"Jackson in Java", javaOf, bySender + "In Java take the bytes (@RequestBody byte[]). " + useRaw, false},
	{"Jackson in Java, indented", javaOf.indented("  ").with(func(s *style) { s.key, s.spaced, s.item = " : ", true, "," }), bySender + "In Java take the bytes (@RequestBody byte[]). " + useRaw, false},
	{"Gson in Java", javaOf.with(func(s *style) { s.escapes = escapes{special: "<>&='", separator: true} }), bySender + "In Java take the bytes (@RequestBody byte[]). " + useRaw, false},
	{"System.Text.Json in .NET", dotnetOf, bySender + "In .NET read Request.Body before model binding (EnableBuffering). " + useRaw, false},
	{"System.Text.Json in .NET, indented", dotnetOf.indented("  "), bySender + "In .NET read Request.Body before model binding (EnableBuffering). " + useRaw, false},
	{"PostgreSQL's jsonb", style{item: ", ", key: ": ", order: byLength}, bySender + "A jsonb column keeps neither blanks nor order: keep the raw body beside it. " + useRaw, true},
	{"JSON with a space behind commas and colons", style{item: ", ", key: ": "}, bySender + useRaw, false},
	{"JSON with a space behind colons", style{item: ",", key: ": "}, bySender + useRaw, false},
	{"JSON with an indent of 2, as jq writes it", plainOf.indented("  "), bySender + useRaw, false},
	{"JSON with an indent of 4", plainOf.indented("    "), bySender + useRaw, false},
	{"JSON with an indent of 1", plainOf.indented(" "), bySender + useRaw, false},
	{"JSON with an indent of 3", plainOf.indented("   "), bySender + useRaw, false},
	{"JSON with tabs", plainOf.indented("\t"), bySender + useRaw, false},
	{"JSON with everything escaped that is not ASCII", plainOf.with(func(s *style) { s.escapes.ascii = true }), bySender + useRaw, false},
}

// jsonRows are the known mistakes with the body as JSON: as each writer has it.
var jsonRows = sync.OnceValue(func() []bodyRow {
	rows := slices.Clone(stringRows)
	for _, w := range writerRows {
		rows = append(rows, written(w.name, w.style, w.mend, ""))
	}
	return append(rows, bodyRow{"the body as Python shows a dict", ReserializedBody, jsonCost, func(m *material) []byte {
		v, ok := m.json()
		if !ok {
			return nil
		}
		return pythonDict(v)
	}, "The signer put a parsed body into an f-string. " + pythonMend + useRaw})
})

// rareJSONRows are those with the keys sorted, with a line break behind, with CR
// LF, or with both of the first.
var rareJSONRows = sync.OnceValue(func() (rows []bodyRow) {
	const sortedMend = bySender + "Nothing that sorts keys gives the same bytes again. " + useRaw
	for _, w := range writerRows {
		if !w.sorts {
			rows = append(rows, written(w.name+", with its keys sorted", w.style.sorted(), sortedMend, ""))
		}
	}
	for _, w := range writerRows {
		rows = append(rows, written(w.name+", with a line break at its end", w.style, w.mend, "\n"))
		if !w.sorts {
			rows = append(rows, written(w.name+", with its keys sorted and a line break at its end", w.style.sorted(), sortedMend, "\n"))
		}
		if w.style.indent != "" {
			rows = append(rows, written(w.name+", with CR LF for line ends", w.style, w.mend, "\r\n"))
		}
	}
	return rows
})

func (st style) sorted() style {
	st.order = sorted
	return st
}

func written(name string, s style, mend, end string) bodyRow {
	return bodyRow{"the body as written by " + name, ReserializedBody, jsonCost, func(m *material) []byte {
		v, ok := m.json()
		if !ok {
			return nil
		}
		out := s.write(v)
		if end == "\r\n" {
			return toCRLF(out)
		}
		return append(out, end...)
	}, mend}
}

const (
	twice = "The documentation's Node.js sample calls JSON.stringify on a body that is text already; Twenty itself does not. Take JSON.stringify away, and sign and verify the raw body."
	twain = "The body was made a JSON string once more after it was signed: something stringified text that was JSON already. Send the text itself."
)

// stringRows make a JSON string of text that is JSON already, or undo it.
var stringRows = []bodyRow{
	{"JSON.stringify of the body's text", DoubleStringified, 2, quotedWith(escapes{}), twice},
	{"the text inside the JSON string that the body is", DoubleStringified, 2, func(m *material) []byte {
		if v, ok := m.json(); ok && v.kind == '"' {
			return []byte(v.text)
		}
		return nil
	}, twain},
	{"Python's json.dumps of the body's text", DoubleStringified, 2, quotedWith(pythonOf.escapes), twice},
	{"Go's json.Marshal of the body's text", DoubleStringified, 2, quotedWith(goOf.escapes), twice},
	{"PHP's json_encode of the body's text", DoubleStringified, 2, quotedWith(phpOf.escapes), twice},
	{"JSON.stringify of the body's text, twice", DoubleStringified, 4, func(m *material) []byte {
		once := (&material{body: quotedWith(escapes{})(m)})
		return quotedWith(escapes{})(once)
	}, twice},
	{"JSON.stringify of the body's text without its blanks", DoubleStringified, jsonCost, func(m *material) []byte {
		v, ok := m.json()
		if !ok {
			return nil
		}
		return quotedWith(escapes{})(&material{body: jsOf.write(v)})
	}, twice},
}

func quotedWith(e escapes) func(*material) []byte {
	return func(m *material) []byte {
		var out bytes.Buffer
		plain := e.plain()
		e.write(&out, &plain, string(bytes.ToValidUTF8(m.body, []byte("\uFFFD"))))
		return out.Bytes()
	}
}
