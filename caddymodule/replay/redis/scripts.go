package redis

import (
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/twentygate/twentygate/caddymodule/replay"
)

// The value of a signature's key is one digit, one sign and a token:
//
//	2+<token>  claimed by the holder of the token, after two releases
//	2-<token>  free; the token is that of the claim which ended last
//
// Each script touches one key, so it runs in a Cluster, and doing it twice is
// the same as doing it once, so that a command whose answer was lost can be
// sent again. A token is used for one claim.

// The digit has room for no more.
const _ = uint(9 - replay.MaxReleases)

// Answers of claimScript.
const (
	answerHeld    = 0 // somebody else's
	answerOurs    = 1
	answerForever = 2 // somebody else's, and it can't be released any more
)

// claimScript takes a token and a time to live in ms. "Claimed" with our own
// token is ours: the answer to an earlier try was lost. "Free" with our own
// token means that this very claim was withdrawn before it came: a command can
// be stuck in a socket of a server that is stopped, and be carried out long
// after who sent it gave up and took it back through another connection.
var claimScript = script(`
local v = redis.call('GET', KEYS[1])
local n, ttl = '0', tonumber(ARGV[2])
if v then
	n = string.sub(v, 1, 1)
	local ours = string.sub(v, 3) == ARGV[1]
	if string.sub(v, 2, 2) ~= '-' then
		if ours then return 1 end
		if n == 'MAX' then return 2 end
		return 0
	end
	if ours then return 0 end
	ttl = math.max(ttl, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], n .. '+' .. ARGV[1], 'PX', ttl)
return 1
`)

// Answers of releaseScript.
const (
	answerNotOurs  = 0
	answerReleased = 1
	answerKept     = 2 // it was released as often as it may be
)

// releaseScript takes the token, how many releases it counts as, and a time to
// live in ms for a key that is not there. Such a key is written all the same:
// the claim may still be on its way, see claimScript.
var releaseScript = script(`
local v = redis.call('GET', KEYS[1])
local n = 0
if v then
	if string.sub(v, 2) ~= '+' .. ARGV[1] then return 0 end
	n = tonumber(string.sub(v, 1, 1))
end
n = n + tonumber(ARGV[2])
if n > MAX then return 2 end
if v then
	redis.call('SET', KEYS[1], n .. '-' .. ARGV[1], 'KEEPTTL')
else
	redis.call('SET', KEYS[1], n .. '-' .. ARGV[1], 'PX', ARGV[3])
end
return 1
`)

// The value of a body's key is + and the token of who is under way with it, or
// = when it was taken.

// Answers of claimBodyScript.
const (
	answerUnderWay = 0
	answerBodyOurs = 1
	answerTaken    = 2
)

// claimBodyScript takes a token and the lease in ms.
var claimBodyScript = script(`
local v = redis.call('GET', KEYS[1])
if v == '=' then return 2 end
if v == '+' .. ARGV[1] then return 1 end
if v then return 0 end
redis.call('SET', KEYS[1], '+' .. ARGV[1], 'PX', ARGV[2])
return 1
`)

// keepBodyScript takes how long the body stays taken, in ms. It does not look at
// the token: when the lease is over and somebody else is under way, it is true
// all the same that the upstream took the body.
var keepBodyScript = script(`
local keep = tonumber(ARGV[1])
if redis.call('GET', KEYS[1]) == '=' and redis.call('PTTL', KEYS[1]) >= keep then return 1 end
redis.call('SET', KEYS[1], '=', 'PX', keep)
return 1
`)

// releaseBodyScript takes the token. A claim that comes after its release need
// not be prevented here: its lease ends by itself.
var releaseBodyScript = script(`
if redis.call('GET', KEYS[1]) ~= '+' .. ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
`)

func script(source string) *goredis.Script {
	return goredis.NewScript(strings.TrimSpace(strings.ReplaceAll(source, "MAX", strconv.Itoa(replay.MaxReleases))))
}
