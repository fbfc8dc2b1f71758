package event

// MaxDepth is how many values may stand within each other, below the keys that
// are read. Twenty's records have a few.
const MaxDepth = 1024

// longestKey is room for every spelling of the wanted keys: some letters have
// forms of three bytes.
const longestKey = 64

// scanner reads JSON without building it. It is as strict as encoding/json, and
// about UTF-8 stricter: what another parser would read in another way must not
// pass. encoding/json itself is too slow for this: see the benchmark.
type scanner struct {
	rest [][]byte // the pieces after b
	b    []byte
	i    int

	half []byte // of a character at the end of b
	bad  bool   // not UTF-8

	// text is the last string, decoded, of those that were to be kept.
	text []byte
	keep int  // how many bytes of it at most
	cut  bool // there were more

	// until, where not nil, ends the reading once it has text.
	until *wanted

	// The string may go on with the second half of a surrogate pair.
	high   rune
	highAt int
}

// document reads an object that is all there is, and notes the wanted keys.
func (s *scanner) document(keys []wanted) bool {
	return s.token() == '{' && s.object(keys) && s.token() == 0 && !s.more() && !s.bad
}

// object reads an object whose brace was read.
func (s *scanner) object(keys []wanted) bool {
	if s.peekToken() == '}' {
		s.i++
		return true
	}
	for {
		if !s.key(longestKey) {
			return false
		}
		var w *wanted
		if !s.cut {
			var exact bool
			if w, exact = find(keys, s.text); w != nil {
				w.times++
				w.exact = w.exact || exact
			}
		}
		if !s.member(w) || w != nil && w == s.until && w.text != "" {
			return false
		}
		switch s.token() {
		case ',':
		case '}':
			return true
		default:
			return false
		}
	}
}

// member reads the value of a key, and takes it down where the key is wanted.
func (s *scanner) member(w *wanted) bool {
	if w == nil {
		return s.skip()
	}
	switch c := s.peekToken(); {
	case c == '"':
		s.i++
		if !s.str(w.most) {
			return false
		}
		if !s.cut && isPrintable(s.text) {
			w.text = string(s.text)
		}
		return true
	case c == '{' && w.inner != nil:
		s.i++
		return s.object(w.inner)
	}
	return s.skip()
}

// skip reads a value of any kind. It does not recurse.
func (s *scanner) skip() bool {
	var isObject [MaxDepth / 64]uint64 // a bit for each open value
	depth := 0
	for {
		switch c := s.token(); c {
		case '"':
			if !s.str(0) {
				return false
			}
		case '{', '[':
			if depth == MaxDepth {
				return false
			}
			bit := uint64(1) << (depth % 64)
			isObject[depth/64] &^= bit
			end := byte(']')
			if c == '{' {
				isObject[depth/64] |= bit
				end = '}'
			}
			if s.peekToken() == end {
				s.i++
				break
			}
			depth++
			if c == '{' && !s.key(0) {
				return false
			}
			continue
		case 't':
			if !s.literal("rue") {
				return false
			}
		case 'f':
			if !s.literal("alse") {
				return false
			}
		case 'n':
			if !s.literal("ull") {
				return false
			}
		default:
			if !s.number(c) {
				return false
			}
		}
		// After a value: the next one of what is open, or its end.
		for {
			if depth == 0 {
				return true
			}
			inObject := isObject[(depth-1)/64]>>((depth-1)%64)&1 == 1
			c := s.token()
			if c == ',' {
				if inObject && !s.key(0) {
					return false
				}
				break
			}
			if inObject && c != '}' || !inObject && c != ']' {
				return false
			}
			depth--
		}
	}
}

// key reads a key and the colon after it.
func (s *scanner) key(keep int) bool {
	if s.token() != '"' || !s.str(keep) {
		return false
	}
	if s.i < len(s.b) && s.b[s.i] == ':' { // as nearly always
		s.i++
		return true
	}
	return s.token() == ':'
}

func (s *scanner) literal(rest string) bool {
	for i := range len(rest) {
		if s.next() != rest[i] {
			return false
		}
	}
	return true
}

// number reads a number whose first byte is c.
func (s *scanner) number(c byte) bool {
	if c == '-' {
		c = s.next()
	}
	switch {
	case c >= '1' && c <= '9':
		s.digits()
	case c != '0':
		return false
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

// digits reads digits, and reports whether there were any.
func (s *scanner) digits() bool {
	some := false
	for {
		start := s.i
		for s.i < len(s.b) && s.b[s.i]-'0' < 10 {
			s.i++
		}
		some = some || s.i > start
		if s.i < len(s.b) || !s.more() {
			return some
		}
	}
}

// token reads the next byte that is not white space; 0 at the end, which no
// token begins with.
func (s *scanner) token() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		s.i++
		return s.b[s.i-1]
	}
	return s.tokenAfterSpace()
}

func (s *scanner) tokenAfterSpace() byte {
	c := s.peekToken()
	if c != 0 {
		s.i++
	}
	return c
}

func (s *scanner) peekToken() byte {
	for {
		switch c := s.peek(); c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
}

// next reads a byte; 0 at the end, which stands nowhere in JSON.
func (s *scanner) next() byte {
	c := s.peek()
	if c != 0 {
		s.i++
	}
	return c
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) || s.more() {
		return s.b[s.i]
	}
	return 0
}

// more reports whether the body goes on, and moves to the piece in which it does.
func (s *scanner) more() bool {
	for s.i == len(s.b) {
		if len(s.rest) == 0 {
			return false
		}
		s.b, s.rest, s.i = s.rest[0], s.rest[1:], 0
		if !s.isUTF8(s.b) {
			s.b, s.rest, s.bad = nil, nil, true
			return false
		}
	}
	return true
}
