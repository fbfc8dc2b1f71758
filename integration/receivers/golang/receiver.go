// Command golang is a choice of hand-written receivers in Go, named by its one
// argument. Each is a function in a file of its own, with one mistake, which its
// comment names; correct has none. What they have in common is here: everything
// around the check itself.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// check returns the status that a delivery is answered with.
type check func(h http.Header, body []byte) int

var receivers = map[string]check{
	"correct":        correct,
	"no_freshness":   noFreshness,
	"past_only":      pastOnly,
	"lenient_number": lenientNumber,
	"first_of_two":   firstOfTwo,
	"replay_race":    replayRace,
}

const (
	limit  = 20 << 20
	window = 5 * time.Minute
)

var (
	secret    = os.Getenv("SECRET")
	canonical = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)
)

func main() {
	verify, found := receivers[os.Args[len(os.Args)-1]]
	if !found {
		log.Fatalf("no receiver of that name; there are %v", receivers)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(receive(w, r, verify))
	})))
}

func receive(w http.ResponseWriter, r *http.Request, verify check) int {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	if r.Header.Get("Content-Encoding") != "" {
		return http.StatusUnsupportedMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	if status := verify(r.Header, body); status != http.StatusOK {
		return status
	}
	var event struct{ EventName string }
	if json.Unmarshal(body, &event) != nil || event.EventName == "" {
		return http.StatusBadRequest
	}
	return http.StatusOK // here the receiver would do its work
}

// one returns the value of a header that stands there exactly once.
func one(h http.Header, name string) string {
	if values := h.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

func matches(signature, timestamp string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + ":"))
	mac.Write(body)
	given, err := hex.DecodeString(signature)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}

// age reads a timestamp, strictly, and says how old it is.
func age(timestamp string) (time.Duration, bool) {
	if !canonical.MatchString(timestamp) {
		return 0, false
	}
	milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
	return time.Since(time.UnixMilli(milliseconds)), err == nil
}

var (
	mu   sync.Mutex
	seen = map[string]time.Time{}
)

// firstTime remembers a signature, and says whether it is new.
func firstTime(signature string) bool {
	mu.Lock()
	defer mu.Unlock()
	for key, at := range seen {
		if time.Since(at) > 2*window {
			delete(seen, key)
		}
	}
	decoded, _ := hex.DecodeString(signature)
	if _, again := seen[string(decoded)]; again {
		return false
	}
	seen[string(decoded)] = time.Now()
	return true
}
