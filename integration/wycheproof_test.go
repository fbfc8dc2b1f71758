package integration

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/twentygate/twentygate/caddymodule/signature"
)

// hexBytes are bytes that JSON has in hexadecimal.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.AppendDecode(nil, text)
	return err
}

// The HMAC of package signature agrees with Project Wycheproof's vectors. Some
// of them have shortened tags, which the scheme has not: those are compared with
// as much of ours.
func TestWycheproof(t *testing.T) {
	t.Parallel()
	file, err := fs.ReadFile(wycheproof.TestVectors, "hmac_sha256_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		NumberOfTests int
		TestGroups    []struct {
			KeySize, TagSize int
			Tests            []struct {
				TcID          int
				Comment       string
				Key, Msg, Tag hexBytes
				Result        string
			}
		}
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, group := range vectors.TestGroups {
		for _, v := range group.Tests {
			ran++
			t.Run(fmt.Sprintf("%d %s", v.TcID, v.Comment), func(t *testing.T) {
				key, err := signature.NewKey(v.Key)
				if len(v.Key) == 0 {
					if err == nil {
						t.Error("an empty key was taken")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				whole := key.MAC(v.Msg)
				half := len(v.Msg) / 2
				parts := key.MAC(v.Msg[:half], nil, v.Msg[half:])
				if whole != parts {
					t.Errorf("%x of the message whole, %x of it in parts", whole, parts)
				}
				if same := bytes.Equal(whole[:group.TagSize/8], v.Tag); same != (v.Result == "valid") {
					t.Errorf("got %x, and %x is %s", whole[:group.TagSize/8], v.Tag, v.Result)
				}
			})
		}
	}
	if ran == 0 || ran != vectors.NumberOfTests {
		t.Errorf("ran %d vectors of %d", ran, vectors.NumberOfTests)
	}
}
