package explain

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// signatureRow is one way to write a signature otherwise than as 64 hex digits.
// decode returns its bytes, nil where it does not apply.
type signatureRow struct {
	name   string
	decode func(text string) []byte
	mend   string
}

const bareHex = "Send the 64 hex digits and nothing else, as Twenty does (.digest(\"hex\"), .hexdigest(), hex.EncodeToString)."

// signatureRows are the known mistakes with the signature's text.
var signatureRows = []signatureRow{
	{"hex", func(text string) []byte { return decodeHex(text) }, bareHex},
	{"hex behind a prefix, as GitHub and Stripe have one", afterPrefix(func(text string) []byte { return decodeHex(text) }), bareHex},
	{"hex between quotes or brackets", func(text string) []byte { return decodeHex(strings.Trim(text, " \t\"'`<>[]")) }, bareHex},
	{"hex behind 0x", func(text string) []byte { return decodeHex(strings.TrimPrefix(strings.ToLower(text), "0x")) }, bareHex},
	{"hex with separators", func(text string) []byte {
		return decodeHex(strings.NewReplacer(":", "", "-", "", " ", "").Replace(text))
	}, bareHex},
	{"hex as openssl prints it", func(text string) []byte {
		_, after, found := strings.Cut(text, "= ")
		if !found {
			return nil
		}
		return decodeHex(strings.TrimSpace(after))
	}, "What openssl prints before the digits came along: cut it off with sed 's/.* //'. " + bareHex},
	{"the hex that base64 holds", func(text string) []byte {
		inner := decodeBase64(text)
		if len(inner) != 2*sha256.Size {
			return nil
		}
		return decodeHex(string(inner))
	}, "It was made base64 after it was made hex. " + bareHex},
	{"base64", func(text string) []byte { return ofHashSize(decodeBase64(text)) }, bareHex},
	{"base64 behind a prefix", afterPrefix(func(text string) []byte { return ofHashSize(decodeBase64(text)) }), bareHex},
	{"percent-encoded base64", func(text string) []byte {
		if !strings.Contains(text, "%") {
			return nil
		}
		return ofHashSize(decodeBase64(string(percentDecode([]byte(text), false))))
	}, bareHex},
	{"a Python bytes literal", func(text string) []byte {
		return decodeHex(strings.TrimSuffix(strings.TrimPrefix(text, "b'"), "'"))
	}, bareHex},
}

// afterPrefix drops what stands before the last of = : and ,
// (sha256=…, v1=…, v1,…, t=…,v1=…, HMAC-SHA256 …).
func afterPrefix(decode func(string) []byte) func(string) []byte {
	return func(text string) []byte {
		body := strings.TrimRight(text, "=")
		at := strings.LastIndexAny(body, "=:, ")
		if at < 0 {
			return nil
		}
		return decode(text[at+1:])
	}
}

func ofHashSize(data []byte) []byte {
	switch len(data) {
	case md5.Size, sha1.Size, sha256.Size, sha512.Size384, sha512.Size:
		return data
	}
	return nil
}

// readSignature decodes a signature's text, by whichever row gives the right
// length, or else that of another hash.
func readSignature(text string) ([]byte, *signatureRow) {
	if len(text) > 1024 {
		return nil, nil
	}
	var other []byte
	var otherRow *signatureRow
	for i := range signatureRows {
		mac := ofHashSize(signatureRows[i].decode(text))
		if len(mac) == sha256.Size {
			return mac, &signatureRows[i]
		}
		if mac != nil && other == nil {
			other, otherRow = mac, &signatureRows[i]
		}
	}
	return other, otherRow
}

// hashRow is another way to make the signature than HMAC-SHA256 of a message.
type hashRow struct {
	name string
	size int
	sum  func(secret []byte, message [][]byte) []byte
	mend string
}

const useHMAC = "Make it with HMAC-SHA256, the secret as the key."

var hashRows = []hashRow{
	{"HMAC-SHA1", sha1.Size, hmacWith(sha1.New), useHMAC},
	{"HMAC-SHA512", sha512.Size, hmacWith(sha512.New), useHMAC},
	{"HMAC-SHA384", sha512.Size384, hmacWith(sha512.New384), useHMAC},
	{"HMAC-MD5", md5.Size, hmacWith(md5.New), useHMAC},
	{"HMAC-SHA256 with secret and message exchanged", sha256.Size, func(secret []byte, message [][]byte) []byte {
		var key []byte
		for _, part := range message {
			key = append(key, part...)
		}
		return sumHMAC(sha256.New, key, [][]byte{secret})
	}, "The two arguments were exchanged: the key comes first in most libraries. " + useHMAC},
	{"plain SHA-256 of the message, without the secret", sha256.Size, func(_ []byte, message [][]byte) []byte {
		return sumPlain(message)
	}, "Anybody can make that. " + useHMAC},
	{"plain SHA-256 of secret and message", sha256.Size, func(secret []byte, message [][]byte) []byte {
		return sumPlain(append([][]byte{secret}, message...))
	}, "Such a hash can be extended by strangers. " + useHMAC},
	{"plain SHA-256 of message and secret", sha256.Size, func(secret []byte, message [][]byte) []byte {
		return sumPlain(append(append([][]byte{}, message...), secret))
	}, useHMAC},
	{"HMAC-SHA256, hashed as hex once more", sha256.Size, func(secret []byte, message [][]byte) []byte {
		return sumPlain([][]byte{[]byte(hex.EncodeToString(sumHMAC(sha256.New, secret, message)))})
	}, "It was hashed once too often. " + useHMAC},
}

func hmacWith(h func() hash.Hash) func([]byte, [][]byte) []byte {
	return func(secret []byte, message [][]byte) []byte { return sumHMAC(h, secret, message) }
}

func sumHMAC(h func() hash.Hash, key []byte, message [][]byte) []byte {
	mac := hmac.New(h, key)
	for _, part := range message {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func sumPlain(message [][]byte) []byte {
	h := sha256.New()
	for _, part := range message {
		h.Write(part)
	}
	return h.Sum(nil)
}
