package signature

import (
	"bytes"
	"errors"
)

// Errors of [SecretOfFile], written for whoever looks after the file.
var (
	errSecretNUL   = errors.New("it holds NUL bytes, which no secret of Twenty's does: it is half written, or damaged")
	errSecretEmpty = errors.New("it is empty: write the webhook's secret into it")
)

// MaxSecretFile is the largest file, in bytes, that a secret is looked for in:
// more than any secret has. It keeps a path that is mistaken for a secret's from
// being read into memory.
const MaxSecretFile = 64 << 10

// TrimSecret removes the one newline, of either kind, that editors and echo put
// at the end of a file, and nothing else: spaces may be part of a secret.
func TrimSecret(value []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
}

// SecretOfFile returns the secret in the content of a file, which is what
// [TrimSecret] leaves of it. A content of nothing but white space, and one with
// NUL bytes, is an error, which quotes nothing of it.
func SecretOfFile(content []byte) ([]byte, error) {
	value := TrimSecret(content)
	if bytes.IndexByte(value, 0) >= 0 {
		return nil, errSecretNUL
	}
	if len(bytes.TrimSpace(value)) == 0 {
		return nil, errSecretEmpty
	}
	return value, nil
}
