//go:build unix

package redis

import (
	"errors"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// BenchmarkClaimAndKeep is what a delivery pays, with Redis on loopback.
func BenchmarkClaimAndKeep(b *testing.B) {
	s := startServer(b)
	b.Run("memory alone", func(b *testing.B) {
		m := replay.NewMemory(replay.Options{Capacity: 1 << 30})
		defer m.Close()
		b.ReportAllocs()
		for b.Loop() {
			c, err := m.Claim(b.Context(), newEntry())
			if err != nil {
				b.Fatal(err)
			}
			c.Keep()
		}
	})
	b.Run("PING", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.admin.Ping(b.Context()).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	r := newReplica(b, &Redis{Addresses: []string{s.address}})
	r.local.SetCapacity(1 << 30)
	b.Run("script alone", func(b *testing.B) {
		b.ReportAllocs()
		key := "twentygate:test:s:" + strings.Repeat("x", 43)
		for b.Loop() {
			if err := claimScript.Run(b.Context(), s.admin, []string{key}, newToken(), 600_000).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("redis", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := r.Guard.Claim(b.Context(), newEntry())
			if err != nil {
				b.Fatal(err)
			}
			c.Keep()
		}
	})
	b.Run("redis, parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c, err := r.Guard.Claim(b.Context(), newEntry())
				if err != nil {
					b.Error(err)
					return
				}
				c.Keep()
			}
		})
	})
}

// BenchmarkDuplicate shows what asking the memory guard first saves.
func BenchmarkDuplicate(b *testing.B) {
	s := startServer(b)
	first, second := pair(b, s.address)
	e := newEntry()
	first.claim(e).Keep()
	for name, r := range map[string]*replica{"same replica": first, "other replica": second} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Claim(b.Context(), e); !errors.Is(err, replay.ErrReplayed) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOutage is what a delivery pays while Redis is away.
func BenchmarkOutage(b *testing.B) {
	r := newReplica(b, &Redis{Addresses: []string{freeAddress(b)}})
	r.local.SetCapacity(1 << 30)
	r.claim(newEntry()).Keep()
	b.ReportAllocs()
	for b.Loop() {
		c, err := r.Guard.Claim(b.Context(), newEntry())
		if err != nil {
			b.Fatal(err)
		}
		c.Keep()
	}
}
