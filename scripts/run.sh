#!/usr/bin/env bash
# Starts the gate of Caddyfile.example in front of its stand-in receiver, posts
# one genuine and one forged delivery, and goes on serving.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:?usage: scripts/run.sh <binary>}

command -v curl >/dev/null || { echo "this demonstration needs curl" >&2; exit 1; }

export GATE_PORT=${GATE_PORT:-8080}
export INSPECTOR_PORT=${INSPECTOR_PORT:-8081}
# An address of its own, so that a Caddy that runs already does not mind.
export ADMIN_ADDRESS=${ADMIN_ADDRESS:-127.0.0.1:20190}
url=http://127.0.0.1:$GATE_PORT
ask() { curl -sS -m 2 --noproxy '*' "$@"; }

inspector=http://127.0.0.1:$INSPECTOR_PORT
if ask -o /dev/null "$url/healthz" 2>/dev/null; then
	echo "something answers on $url already: stop it, or set GATE_PORT" >&2
	exit 1
fi
if ask -o /dev/null "$inspector/" 2>/dev/null; then
	echo "something answers on $inspector already: stop it, or set INSPECTOR_PORT" >&2
	exit 1
fi

if [ -z "${TWENTY_WEBHOOK_SECRET:-}${TWENTY_WEBHOOK_SECRET_FILE:-}" ]; then
	TWENTY_WEBHOOK_SECRET=$(od -An -vtx1 -N32 /dev/urandom | tr -d ' \n')
	show_secret="  export TWENTY_WEBHOOK_SECRET=$TWENTY_WEBHOOK_SECRET"
fi
TWENTY_WEBHOOK_SECRET=${TWENTY_WEBHOOK_SECRET:-$(cat "$TWENTY_WEBHOOK_SECRET_FILE")}
export TWENTY_WEBHOOK_SECRET

"$binary" run --config Caddyfile.example --adapter caddyfile &
gate=$!
trap 'kill "$gate" 2>/dev/null || true; wait "$gate" 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM

for _ in $(seq 100); do
	kill -0 "$gate" 2>/dev/null || { echo "the gate did not start; the last line above says why" >&2; exit 1; }
	ask -f -o /dev/null "$url/healthz" 2>/dev/null && break
	sleep 0.1
done

# post <secret> prints the status of the answer to a delivery signed with it.
post() {
	TWENTY_WEBHOOK_SECRET=$1 "$binary" twenty-webhook send --json "$url/" | sed 's/^{"status":\([0-9]*\),.*/\1/'
}
genuine=$(post "$TWENTY_WEBHOOK_SECRET") || true
forged=$(post 'not the secret') || true
[ "$genuine" = 200 ] && [ "$forged" = 401 ] || {
	echo "the gate answered $genuine and $forged where 200 and 401 were due" >&2
	exit 1
}

cat <<END

  a genuine delivery     $genuine   the receiver got it
  a forged one           $forged   the receiver got nothing; the log above says why

  what the gate saw      $inspector   open it in a browser
  metrics                http://$ADMIN_ADDRESS/metrics

The gate listens on $url and goes on serving; Ctrl-C ends it.
Send one of your own, from another terminal:

${show_secret:-  # with the TWENTY_WEBHOOK_SECRET, or the file, that you gave}
  $binary twenty-webhook send $url/

END
wait "$gate"
