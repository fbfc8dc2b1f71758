#!/usr/bin/env bash
# Installs what the tests need and this machine lacks, from Debian's packages.
set -euo pipefail

declare -A package_of=(
	[node]=nodejs
	[npm]=npm
	[curl]=curl
	[openssl]=openssl
	[redis-server]=redis-server
	[redis-sentinel]=redis-sentinel
	[mount]=mount
	[unshare]=util-linux
	[gcc]="gcc libc6-dev" # the race detector
)

missing=()
for tool in "${!package_of[@]}"; do
	command -v "$tool" >/dev/null || missing+=(${package_of[$tool]})
done
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
[ ${#missing[@]} -eq 0 ] && exit 0

echo "the tests need: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
	echo "this machine has no apt-get: install them by its own means" >&2
	exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
