package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"strconv"
	"sync"
)

// ErrEmptySecret is returned for a secret of no bytes, and for one of NUL bytes
// alone, which HMAC pads its keys with: everyone knows both.
var ErrEmptySecret = errors.New("secret is empty")

// Key signs and verifies with one secret. It is safe for use by several
// goroutines at once, and must not be copied.
type Key struct {
	// Keyed hash states are kept for reuse: setting one up costs two blocks of
	// SHA-256 and several allocations, which on a small delivery is most of
	// the price.
	states sync.Pool
}

// NewKey returns the key for a secret, which is used as the bytes it is: a
// secret that looks like hex is not decoded, since Twenty does not decode it
// either. An empty secret is [ErrEmptySecret].
func NewKey(secret []byte) (*Key, error) {
	if len(bytes.Trim(secret, "\x00")) == 0 {
		return nil, ErrEmptySecret
	}
	own := append([]byte(nil), secret...)
	k := &Key{}
	k.states.New = func() any { return hmac.New(sha256.New, own) }
	return k, nil
}

// MAC returns the HMAC-SHA256 of the parts, one after the other. It is for other
// things that only who has the secret may make; a delivery is signed by [Key.Sign].
func (k *Key) MAC(parts ...[]byte) Signature { return k.mac(nil, parts) }

// Sign returns the signature of a delivery. The body may come in several
// parts, as long as together they are the bytes that are sent.
func (k *Key) Sign(t Timestamp, body ...[]byte) Signature {
	var prefix [20]byte
	return k.mac(append(strconv.AppendInt(prefix[:0], int64(t), 10), ':'), body)
}

func (k *Key) mac(prefix []byte, parts [][]byte) (s Signature) {
	state := k.states.Get().(hash.Hash)
	state.Reset()
	state.Write(prefix)
	for _, part := range parts {
		state.Write(part)
	}
	state.Sum(s[:0])
	k.states.Put(state)
	return s
}

// Verify reports whether the key made the signature, and takes the same time
// whatever the answer.
func (k *Key) Verify(s Signature, t Timestamp, body ...[]byte) bool {
	want := k.Sign(t, body...)
	return hmac.Equal(want[:], s[:])
}
