package signature_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/twentygate/twentygate/caddymodule/signature"
)

// maxBody is the largest body that is read. Twenty's records are small, but a
// note may have a long text.
const maxBody = 10 << 20

// receiver takes Twenty's deliveries. Several keys let a secret be exchanged
// without a gap: the new one and, for a while, the old one.
type receiver struct {
	keys []*signature.Key
	now  func() time.Time
	work func(body []byte)
}

func newReceiver(now func() time.Time, work func([]byte), secrets ...string) (*receiver, error) {
	r := &receiver{now: now, work: work}
	for _, secret := range secrets {
		key, err := signature.NewKey([]byte(secret))
		if err != nil {
			return nil, fmt.Errorf("the webhook's secret: %w", err)
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

// ServeHTTP verifies the bytes as they came, before anything parses them. The
// caller learns the status alone; why, stands in the log.
//
// A captured delivery passes here again until it is stale. To let each through
// once is the matter of the package replay beside this one; its example goes on
// from here.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		w.WriteHeader(status)
		return
	}
	err = signature.VerifyRequest(request.Header, body, r.now(), signature.DefaultLimits, r.keys...)
	if err != nil {
		log.Printf("refused: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// Twenty gives up after 5 s and never asks again: what takes longer is done
	// after the answer.
	r.work(body)
	w.WriteHeader(http.StatusNoContent)
}

// A whole receiver: an http.Handler that reads a bounded body, verifies it with
// the secret of today or the one before it, and refuses what is forged or stale.
func Example() {
	log.SetOutput(io.Discard)
	now := func() time.Time { return time.UnixMilli(1735066640000) }
	work := func(body []byte) { fmt.Printf("to work: %s\n", body) }
	handler, err := newReceiver(now, work, "the secret of today", "your-secret")
	if err != nil {
		log.Fatal(err)
	}

	const (
		body    = `{"eventName":"person.created"}`
		genuine = "338a18f1fa9b09cfacf80ff310c3f2ed818c9eff07fd051e172920b5cb739666"
	)
	post := func(timestamp, signed, body string) {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set(signature.TimestampHeader, timestamp)
		request.Header.Set(signature.SignatureHeader, signed)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		fmt.Println(recorder.Code)
	}
	post("1735066639761", genuine, body)
	post("1735066639761", genuine, body+" ")                        // another body
	post("1735063039761", genuine, body)                            // stale
	post("1735066639761", "sha256="+genuine, body)                  // not as Twenty writes it
	post("1735066639761", genuine, string(make([]byte, maxBody+1))) // too large
	// Output:
	// to work: {"eventName":"person.created"}
	// 204
	// 401
	// 401
	// 401
	// 413
}
