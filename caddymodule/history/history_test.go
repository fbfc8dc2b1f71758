package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

var testNow = time.UnixMilli(1735066639761)

// refused and verified are deliveries of these tests.
func refused(at time.Time) Delivery { return Delivery{Time: at, Verdict: verdict.BadSignature} }

func verified(at time.Time, age time.Duration) Delivery {
	return Delivery{Time: at, Verdict: verdict.Verified, Age: age, HasAge: true}
}

func TestMarshal(t *testing.T) {
	for _, tc := range []struct {
		name     string
		delivery Delivery
		want     string
	}{
		{"all there is", Delivery{
			Time: testNow, Gate: "crm", Verdict: verdict.Verified, Event: "person.created",
			Age: 1500 * time.Millisecond, HasAge: true, Bytes: 12, Secret: "main", Status: 200,
			Duration: 2345 * time.Microsecond, Remote: "203.0.113.7",
		}, `{"time":"2024-12-24T18:57:19.761Z","gate":"crm","verdict":"verified","hint":"","event":"person.created",` +
			`"age_ms":1500,"bytes":12,"secret":"main","status":200,"duration_ms":2.345,"remote":"203.0.113.7"}`},
		{"what is not known", Delivery{Time: testNow, Gate: "crm", Verdict: verdict.Unsigned, Monitored: true},
			`{"time":"2024-12-24T18:57:19.761Z","gate":"crm","verdict":"unsigned","monitored":true,` +
				`"hint":"neither signed header is there: the webhook has no secret in Twenty: set one under Settings → APIs \u0026 Webhooks; or something in front drops the headers",` +
				`"event":"","age_ms":null,"bytes":0,"secret":"","status":null,"duration_ms":0,"remote":""}`},
		{"an age of zero is known", Delivery{Time: testNow, Verdict: verdict.Stale, HasAge: true, Hint: "h", Status: 401},
			`{"time":"2024-12-24T18:57:19.761Z","gate":"","verdict":"stale","hint":"h","event":"","age_ms":0,` +
				`"bytes":0,"secret":"","status":401,"duration_ms":0,"remote":""}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := json.Marshal(&tc.delivery)
			if err != nil || string(got) != tc.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, tc.want)
			}
		})
	}
}

func TestNothingIsKeptWhereNobodyLooks(t *testing.T) {
	var book Registry
	gate := book.Join("crm", nil)
	defer gate.Leave()
	if gate.Watched() {
		t.Error("somebody looks")
	}
	gate.Record(refused(testNow))
	for _, tc := range []struct {
		name  string
		names []string
		want  int
	}{
		{"all gates", nil, 1},
		{"this gate", []string{"crm"}, 1},
		{"this gate, named twice", []string{"crm", "crm"}, 1},
		{"another", []string{"other"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			watch := book.Watch(tc.names...)
			gate.Record(refused(testNow))
			if n := len(watch.Deliveries(10, nil)); n != tc.want {
				t.Errorf("%d deliveries are kept, not %d", n, tc.want)
			}
			watch.Close()
			watch.Close()
			if gate.Watched() {
				t.Error("somebody looks still")
			}
			if n := len(gate.refused.items); n != 0 {
				t.Errorf("%d deliveries are kept for nobody", n)
			}
		})
	}
}

// Gates and those who look come and go in any order, and a reload has the new
// ones come before the old ones go.
func TestOutlivesReloads(t *testing.T) {
	var book Registry
	watch := book.Watch("crm") // before its gate
	gate := book.Join("crm", nil)
	gate.Record(refused(testNow))
	for range 3 {
		nextGate := book.Join("crm", nil)
		nextWatch := book.Watch("crm")
		watch.Close()
		gate.Leave()
		gate.Leave()
		gate.Record(refused(testNow)) // under way when its config ended
		gate, watch = nextGate, nextWatch
	}
	if n := len(watch.Deliveries(10, nil)); n != 4 {
		t.Errorf("%d deliveries are left of 4", n)
	}
	if s := watch.Read(testNow); len(s) != 1 || s[0].Configured != 1 {
		t.Errorf("the watch sees %+v", s)
	}
	watch.Close()
	gate.Leave()
	if len(book.gates) != 0 || book.watchesAll.Load() != 0 {
		t.Errorf("left over: %v, %d", book.gates, book.watchesAll.Load())
	}
	(*Member)(nil).Leave()
	(*Watch)(nil).Close()
	if (*Member)(nil).Watched() || (*Gate)(nil).Watched() {
		t.Error("somebody looks at nothing")
	}
}

// A flood of forgeries does not push the genuine ones out.
func TestFloodLeavesTheGenuine(t *testing.T) {
	var book Registry
	gate := book.Join("crm", nil)
	watch := book.Watch()
	gate.Record(verified(testNow, 0))
	for range 3 * DefaultCapacity {
		gate.Record(refused(testNow))
	}
	all := watch.Deliveries(5000, nil)
	if len(all) != DefaultCapacity+1 || all[DefaultCapacity].Verdict != verdict.Verified {
		t.Errorf("%d deliveries are kept, the last one %v", len(all), all[len(all)-1].Verdict)
	}
	some := watch.Deliveries(1, func(d *Delivery) bool { return d.Verdict == verdict.Verified })
	if len(some) != 1 || some[0].Sequence() != 1 {
		t.Errorf("the one that is wanted: %v", some)
	}
}

func TestTextsAreBounded(t *testing.T) {
	var book Registry
	gate, watch := book.Join("crm", nil), book.Watch()
	long := strings.Repeat("ü", 5000)
	gate.Record(Delivery{Time: testNow, Verdict: verdict.Verified, Hint: long, Event: long, Remote: long, Secret: long})
	d := watch.Deliveries(1, nil)[0]
	for _, tc := range []struct {
		name, text string
		limit      int
	}{{"hint", d.Hint, MaxHint}, {"event", d.Event, MaxEvent}, {"remote", d.Remote, MaxRemote}, {"secret", d.Secret, MaxSecret}} {
		if len(tc.text) > tc.limit || len(tc.text) < tc.limit-4 || !utf8.ValidString(tc.text) || !strings.HasSuffix(tc.text, "ü…") {
			t.Errorf("%s is %d bytes long and ends in %q", tc.name, len(tc.text), tc.text[len(tc.text)-6:])
		}
	}
	if cut("short", 128) != "short" {
		t.Error("a short text is cut")
	}
}

func FuzzCut(f *testing.F) {
	f.Add("person.created", 8)
	f.Add("\xff\xfe\xfd\xfc\xfb\xfa", 4)
	f.Add("日本語日本語", 7)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 3 + limit&1023
		got := cut(text, limit)
		if len(got) > limit {
			t.Errorf("%d bytes of %d", len(got), limit)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q was cut to %q", text, got)
		}
	})
}

func TestReadTellsEachNoticeOnce(t *testing.T) {
	var book Registry
	notice := Notice{LevelTrouble, "Redis is down."}
	tell := func(age time.Duration) Teller {
		return func(now time.Time) Facts {
			if !now.Equal(testNow) {
				t.Errorf("asked as of %v", now)
			}
			return Facts{MaxAge: age, MaxFuture: time.Minute, Notices: []Notice{notice}, Monitored: age == time.Hour}
		}
	}
	book.Join("crm", tell(time.Hour))
	book.Join("crm", tell(time.Minute))
	book.Join("crm", nil)
	s := book.Watch("crm").Read(testNow)[0]
	if s.Configured != 3 || !slices.Equal(s.Facts.Notices, []Notice{notice}) || s.Facts.MaxAge != time.Minute || !s.Facts.Monitored {
		t.Errorf("read %+v", s)
	}
}

func TestLevels(t *testing.T) {
	if got := LevelOK.Worse(LevelAttention); got != LevelAttention {
		t.Error(got)
	}
	if got := LevelTrouble.Worse(LevelAttention); got != LevelTrouble {
		t.Error(got)
	}
	if got := LevelAttention.Worse(LevelOK); got != LevelAttention {
		t.Error(got)
	}
}

// All at once, for the race detector; and nothing waits for anything.
func TestManyAtOnce(t *testing.T) {
	book := Registry{Capacity: 8}
	var all sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("gate-", i%2)
		all.Go(func() {
			for range 50 {
				gate := book.Join(name, func(time.Time) Facts { return Facts{} })
				for n := range 20 {
					gate.Record(verified(testNow.Add(time.Duration(n)*time.Minute), time.Second))
				}
				gate.Leave()
			}
		})
		all.Go(func() {
			for range 50 {
				watch := book.Watch([]string{"gate-0", "gate-1"}[:i%3]...)
				reader, err := watch.Follow(0, true)
				if err == nil {
					reader.Read(5)
					reader.Close()
				}
				watch.Deliveries(10, nil)
				watch.Read(testNow)
				watch.Close()
			}
		})
	}
	all.Wait()
	if len(book.gates) != 0 {
		t.Errorf("left over: %v", book.gates)
	}
}
