#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, from Debian's packages.
set -euo pipefail

declare -A package_of=(
	[node]=nodejs
	[npm]=npm
	[python3]=python3
	[curl]=curl
	[jq]=jq
	[nghttp]=nghttp2-client
	[redis-server]=redis-server
	[redis-sentinel]=redis-sentinel
	[git]=git
	[mount]=mount
	[unshare]=util-linux
	[prlimit]=util-linux
	[chromium]=chromium
	[nginx]=nginx
	[systemd-analyze]=systemd
	[systemd-sysusers]=systemd
	[gunicorn]=gunicorn
	[gcc]="gcc libc6-dev" # the race detector
)

# promtool is a part of a package that would start a server, so it is taken out of it.
install_promtool() {
	local work
	work=$(mktemp -d)
	chmod 755 "$work"
	(cd "$work" && apt-get -o APT::Sandbox::User=root download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool)
	"${as_root[@]}" install -m 755 "$work/usr/bin/promtool" /usr/local/bin/promtool
	rm -r "$work"
}

PATH=$PATH:/usr/sbin # where servers are, and an ordinary user does not look
missing=()
for tool in "${!package_of[@]}"; do
	command -v "$tool" >/dev/null || missing+=(${package_of[$tool]})
done
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
# Debian's gunicorn runs by Debian's Python, whatever other one is there.
/usr/bin/python3 -c 'import flask' 2>/dev/null || missing+=(python3-flask)
[ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || missing+=(libnginx-mod-http-js)
promtool=
command -v promtool >/dev/null || promtool=promtool
[ ${#missing[@]} -eq 0 ] && [ -z "$promtool" ] && exit 0

echo "the tests need: ${missing[*]} $promtool"
if ! command -v apt-get >/dev/null; then
	echo "this machine has no apt-get: install them by its own means" >&2
	exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
if [ ${#missing[@]} -gt 0 ]; then
	DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
if [ -n "$promtool" ]; then
	install_promtool
fi
