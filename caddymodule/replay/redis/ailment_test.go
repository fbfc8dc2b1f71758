//go:build unix

package redis

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// An outage is what an operator reads of, as long as it lasts.
func TestAilments(t *testing.T) {
	for _, policy := range []string{onOutageLocal, onOutageDeny} {
		t.Run(policy, func(t *testing.T) {
			s := startServer(t)
			r := newReplica(t, &Redis{Addresses: []string{s.address}, OnOutage: policy})
			ailments := r.Guard.(replay.Ailing).Ailments
			r.claim(newEntry()).Keep()
			if got := ailments(); len(got) != 0 {
				t.Errorf("while all is well: %v", got)
			}
			s.kill()
			_, _ = r.Claim(context.Background(), newEntry())
			got := ailments()
			if len(got) != 1 || !strings.HasPrefix(got[0].Text, "Redis is down: "+s.address) ||
				!strings.Contains(got[0].Text, policy) || got[0].Refuses != (policy == onOutageDeny) {
				t.Errorf("in an outage: %+v", got)
			}
			r.local.SetCapacity(1) // which is less than there is
			full := r.local.Ailments()
			if got := ailments(); len(full) != 1 || len(got) != 2 || got[0] != full[0] {
				t.Errorf("in an outage, with a memory guard that is full: %+v", got)
			}
			s.start()
			r.up()
			if got := ailments(); !slices.Equal(got, full) {
				t.Errorf("after it: %v, want what ails the memory guard", got)
			}
		})
	}
}
