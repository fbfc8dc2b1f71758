package history

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/twentygate/twentygate/caddymodule/verdict"
)

// TestModel holds rings, counts and ages to what a list of all deliveries says.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 5).Draw(t, "capacity")
		book := Registry{Capacity: capacity}
		gate, watch := book.Join("crm", nil), book.Watch()
		now := testNow
		var all []Delivery
		t.Repeat(map[string]func(*rapid.T){
			"pass time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 40*60).Draw(t, "seconds")) * time.Second)
			},
			"record": func(t *rapid.T) {
				d := Delivery{
					Time: now, Gate: "crm", sequence: uint64(len(all) + 1),
					Verdict:  rapid.SampledFrom(verdict.All()).Draw(t, "verdict"),
					Age:      time.Duration(rapid.IntRange(-3000, 3000).Draw(t, "age")) * time.Millisecond,
					HasAge:   rapid.Bool().Draw(t, "has age"),
					NotTaken: rapid.Bool().Draw(t, "not taken"),
					Status:   rapid.SampledFrom([]int{0, 200, 404}).Draw(t, "status"),
				}
				all = append(all, d)
				gate.Record(d)
			},
			"": func(t *rapid.T) {
				var want []Delivery
				kept := map[bool]int{}
				for _, d := range slices.Backward(all) {
					if kind := d.Verdict == verdict.Verified; kept[kind] < capacity {
						kept[kind]++
						want = append(want, d)
					}
				}
				if got := watch.Deliveries(100, nil); !slices.Equal(got, want) {
					t.Fatalf("kept %v, want %v", sequences(got), sequences(want))
				}
				compareSnapshot(t, watch.Read(now)[0], all, now)
			},
		})
	})
}

func compareSnapshot(t *rapid.T, got Snapshot, all []Delivery, now time.Time) {
	want := Snapshot{Counts: map[string]int{}}
	ages := map[int64][]int64{}
	for _, d := range all {
		want.Latest = d.Time
		if d.Verdict == verdict.Verified {
			want.LastVerified = d.Time
			if quarter := d.Time.Unix() / 900; d.HasAge && now.Unix()/900-quarter < Quarters {
				ages[quarter] = append(ages[quarter], d.Age.Milliseconds())
			}
		}
		back := now.Unix()/60 - d.Time.Unix()/60
		if back >= Minutes {
			continue
		}
		want.Counts[d.Verdict.String()]++
		if d.NotTaken {
			want.NotTaken++
		} else if d.Verdict == verdict.Verified && d.Status == 404 {
			want.Rejected++
		}
		if m := &want.Minutes[Minutes-1-back]; d.Verdict == verdict.Verified {
			m.Verified++
		} else {
			m.Refused++
		}
	}
	if !maps.Equal(got.Counts, want.Counts) || got.Minutes != want.Minutes || got.NotTaken != want.NotTaken || got.Rejected != want.Rejected {
		t.Fatalf("counted %v %v %d %d, want %v %v %d %d",
			got.Counts, got.Minutes, got.NotTaken, got.Rejected, want.Counts, want.Minutes, want.NotTaken, want.Rejected)
	}
	if !got.Latest.Equal(want.Latest) || !got.LastVerified.Equal(want.LastVerified) {
		t.Fatalf("the last ones are %v and %v, want %v and %v", got.Latest, got.LastVerified, want.Latest, want.LastVerified)
	}
	if len(got.Day) != len(ages) {
		t.Fatalf("%d quarters have ages, want %d", len(got.Day), len(ages))
	}
	for _, bucket := range got.Day {
		of := ages[bucket.Start.Unix()/900]
		var sum int64
		for _, age := range of {
			sum += age
		}
		if len(of) == 0 || bucket.Count != len(of) || bucket.Least != slices.Min(of) || bucket.Most != slices.Max(of) || bucket.Average != sum/int64(len(of)) {
			t.Fatalf("bucket %+v, want that of %v", bucket, of)
		}
	}
}

// A clock that was ahead and is set back leaves nothing behind that counts.
func TestClockSetBack(t *testing.T) {
	var book Registry
	gate, watch := book.Join("crm", nil), book.Watch()
	gate.Record(verified(testNow.Add(24*time.Hour), time.Second))
	gate.Record(verified(testNow, 2*time.Second))
	s := watch.Read(testNow)[0]
	if s.Counts["verified"] != 1 || len(s.Hour) != 1 || s.Hour[0].Average != 2000 || !s.LastVerified.Equal(testNow) {
		t.Errorf("after the clock was set back: %+v", s)
	}
	gate.Record(refused(time.Time{})) // a clock that is not set at all
	watch.Read(time.Time{})
}
