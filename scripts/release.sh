#!/usr/bin/env bash
# Builds a release of the commit that is checked out, for the platforms named, into
# build/release: an archive and an SBOM each, and SHA256SUMS over all. Twice the same
# commit makes the same files.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -n "$(git status --porcelain)" ]; then
	echo "release: there are changes that no commit holds: commit or stash them first" >&2
	exit 1
fi
version=$(git describe --tags --always)
time=$(git log -1 --format=%ct)
out=build/release
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

for platform in "$@"; do
	export GOOS=${platform%/*} GOARCH=${platform#*/}
	name=twentygate_${version}_${GOOS}_${GOARCH}
	binary=twentygate archive=$name.tar.gz
	if [ "$GOOS" = windows ]; then
		binary=twentygate.exe archive=$name.zip
	fi
	echo "release: $name"
	mkdir -p "$work/$name"
	make --no-print-directory release-binary OUT="$work/$name/$binary"
	# The tools run here, whatever the platform.
	(
		unset GOOS GOARCH
		go run "$CYCLONEDX" bin -json -noserial -notimestamp -version "$version" -output "$out/$name.sbom.json" "$work/$name/$binary"
		go run ./scripts/pack -time "$time" -folder "$name" "$out/$archive" \
			"$work/$name/$binary" "$out/$name.sbom.json" README.md LICENSE CHANGELOG.md SECURITY.md Caddyfile.example docs/*.md
	)
done
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
