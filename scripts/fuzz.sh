#!/usr/bin/env bash
# Runs each fuzz target of the module for a while, and stops at the first that
# finds something. What it finds lies in testdata/fuzz then: commit it with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: scripts/fuzz.sh <time for each target> [<targets, a regular expression>]}
wanted=${2:-.}

# Only packages that have one: each test binary with Caddy in it takes long to link.
grep -rl --include='*_test.go' '^func Fuzz' caddymodule | xargs -n1 dirname | sort -u | while read -r package; do
	for target in $(go test -list '^Fuzz' "./$package" | grep '^Fuzz' | grep -E "$wanted" || true); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 2s "./$package" </dev/null
	done
done
