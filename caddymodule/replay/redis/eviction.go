package redis

import (
	"context"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// checkEviction warns of a Redis that may throw keys away when it is full:
// what it forgets can be replayed. CONFIG is often forbidden, so it is read from
// INFO, and not knowing it is fine.
func (l *link) checkEviction() {
	ctx, cancel := context.WithTimeout(l.ctx, l.settings.timeout)
	defer cancel()
	policies := make(chan string, 1)
	look := func(ctx context.Context, client goredis.Cmdable) error {
		info, err := client.Info(ctx, "memory").Result()
		if policy := evicting(info); err == nil && policy != "" {
			select {
			case policies <- policy:
			default:
			}
		}
		return err
	}
	done := make(chan error, 1)
	go func() {
		if cluster, ok := l.client().(*goredis.ClusterClient); ok {
			done <- cluster.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error { return look(ctx, node) })
			return
		}
		done <- look(ctx, l.client())
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	select {
	case policy := <-policies:
		l.log().Warn("redis may evict keys when its memory is full, and what it evicts can be replayed: set its maxmemory-policy to noeviction",
			zap.String("maxmemory_policy", policy))
	default:
		if err != nil {
			l.log().Debug("the eviction policy of redis is not known", zap.Error(err))
		}
	}
}

// evicting reads the policy from the answer to INFO. It is empty when nothing is
// evicted: by the policy, or because there is no limit.
func evicting(info string) string {
	policy, limit := "", ""
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory_policy":
			policy = value
		case "maxmemory":
			limit = value
		}
	}
	if policy == "noeviction" || limit == "0" {
		return ""
	}
	return policy
}
