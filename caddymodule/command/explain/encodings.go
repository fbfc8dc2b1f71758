package explain

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxUnpacked bounds what a compressed body may unpack to.
const maxUnpacked = 32 << 20

func latin1ToUTF8(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

func utf8ToLatin1(data []byte) []byte {
	if !utf8.Valid(data) {
		return nil
	}
	out := make([]byte, 0, len(data))
	for _, r := range string(data) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

// The five bytes that Windows-1252 leaves undefined pass as the controls that
// they are in Latin-1, as browsers have it.

func cp1252ToUTF8(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		r := charmap.Windows1252.DecodeByte(c)
		if r == utf8.RuneError {
			r = rune(c)
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func utf8ToCP1252(data []byte) []byte {
	if !utf8.Valid(data) {
		return nil
	}
	out := make([]byte, 0, len(data))
	for _, r := range string(data) {
		c, ok := charmap.Windows1252.EncodeRune(r)
		switch {
		case ok:
			out = append(out, c)
		case r >= 0x80 && r < 0xa0:
			out = append(out, byte(r))
		default:
			return nil
		}
	}
	return out
}

func encodeUTF16(data []byte, big, mark bool) []byte {
	if !utf8.Valid(data) {
		return nil
	}
	units := utf16.Encode([]rune(string(data)))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

const upperHex = "0123456789ABCDEF"

// percentEncode is curl's --data-urlencode: a space becomes a plus.
func percentEncode(data []byte) []byte {
	out := make([]byte, 0, len(data)*3/2)
	for _, c := range data {
		switch {
		case isLetter(c), c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			out = append(out, c)
		case c == ' ':
			out = append(out, '+')
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return out
}

func percentDecode(data []byte, plus bool) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%' && i+2 < len(data) && hexValue(data[i+1]) >= 0 && hexValue(data[i+2]) >= 0:
			c = byte(hexValue(data[i+1])<<4 | hexValue(data[i+2]))
			i += 2
		}
		out = append(out, c)
	}
	return out
}

// decodeBase64 takes either alphabet, with or without padding.
func decodeBase64(text string) []byte {
	text = strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "").Replace(strings.TrimSpace(text))
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(decoded) == 0 {
		return nil
	}
	return decoded
}

func decodeHex(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return nil
	}
	return decoded
}

// unpack undoes a compression; nil where the data is not compressed so.
func unpack(data []byte) []byte {
	var from io.Reader
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		from, err = gzip.NewReader(bytes.NewReader(data))
	case len(data) > 2 && data[0] == 0x78 && (int(data[0])<<8|int(data[1]))%31 == 0:
		from, err = zlib.NewReader(bytes.NewReader(data))
	case len(data) > 2 && !utf8.Valid(data):
		from = flate.NewReader(bytes.NewReader(data))
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(from, maxUnpacked))
	if err != nil || len(out) == 0 {
		return nil
	}
	return out
}
