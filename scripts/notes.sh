#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a release, and fails where it says nothing:
# scripts/notes.sh v1.2.3
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: scripts/notes.sh <version>}

# The section's lines, up to the next heading of its level or the end of the file.
notes=$(awk -v heading="## ${version#v} " '
	/^## / { inside = index($0 " ", heading) == 1; next }
	inside { print }
' CHANGELOG.md)
if ! grep -q '[^[:space:]]' <<<"$notes"; then
	echo "CHANGELOG.md says nothing of ${version#v}: give it a heading '## ${version#v} - <date>', and what changed" >&2
	exit 1
fi
printf '%s\n' "$notes" | sed '/./,$!d'
