#!/usr/bin/env bash
# Builds a release of the commit that is checked out, for the platforms named, into
# build/release: an archive and an SBOM each, and SHA256SUMS over all. Twice the same
# commit makes the same files, with the same version of Go.
#
# Without a repository, as from an archive of the source, VERSION and
# SOURCE_DATE_EPOCH (seconds since 1970) say what the repository would.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
	echo "release: $*" >&2
	exit 1
}
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
	[ -z "$(git status --porcelain)" ] || fail "there are changes that no commit holds: commit or stash them first"
	commit=$(git rev-parse HEAD)
	VERSION=${VERSION:-$(git describe --tags --match 'v[0-9]*' --always)}
	time=$(git log -1 --format=%ct)
else
	[ -n "${VERSION:-}" ] || fail "no repository that git may read is here: say make release VERSION=v1.2.3"
	time=${SOURCE_DATE_EPOCH:?no repository is here: set it to the time of the source, in seconds since 1970}
fi
[[ $VERSION =~ ^[0-9A-Za-z][0-9A-Za-z.+_-]*$ ]] ||
	fail "the version is '$VERSION': it becomes a part of files' names, so give it letters, digits and . + _ - alone"

# What is set for whoever builds would get into the binary. Not to nothing: Go would
# look into its own file of settings then.
export GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0
unset GOEXPERIMENT GOOS GOARCH

out=build/release
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# The tools run here, whatever the platform.
go build -o "$work/pack" ./scripts/pack
go build -o "$work/licenses" ./scripts/licenses
GOBIN=$work go install "$CYCLONEDX"

for platform in "$@"; do
	os=${platform%/*} arch=${platform#*/}
	name=twentygate_${VERSION}_${os}_${arch}
	binary=twentygate archive=$name.tar.gz
	if [ "$os" = windows ]; then
		binary=twentygate.exe archive=$name.zip
	fi
	echo "release: $name"
	mkdir -p "$work/$name"
	GOOS=$os GOARCH=$arch make --no-print-directory release-binary OUT="$work/$name/$binary" VERSION="$VERSION"
	# Without -licenses: it asks the module proxy for this very version, and what it
	# answers is another thing before and after the release. `make sbom` has them.
	"$work/cyclonedx-gomod" bin -json -noserial -notimestamp -std -version "$VERSION" \
		-output "$out/$name.sbom.json" "$work/$name/$binary"
	"$work/licenses" "$work/$name/$binary" >"$work/$name/THIRD_PARTY_LICENSES.txt"
	"$work/pack" -time "$time" -folder "$name" "$out/$archive" \
		"$work/$name/$binary" "$out/$name.sbom.json" "$work/$name/THIRD_PARTY_LICENSES.txt" \
		README.md LICENSE CHANGELOG.md SECURITY.md Caddyfile.example docs/*.md
done
# It takes minutes, in which somebody may go on working here.
if [ -n "${commit:-}" ] && [ "$(git rev-parse HEAD)$(git status --porcelain)" != "$commit" ]; then
	rm -r "$out"
	fail "the source changed meanwhile: make it again, in a clone that nobody works in"
fi
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
