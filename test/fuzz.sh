#!/usr/bin/env bash
# Runs every fuzz test of the module for FUZZTIME, one after the other: a smoke
# test, since a real search takes hours.
set -euo pipefail
cd "$(dirname "$0")/.."

grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]*' cmd internal test |
	while IFS=: read -r file _ func; do
		go test -run='^$' -fuzz="^${func#func }\$" -fuzztime="${FUZZTIME:-3s}" "./$(dirname "$file")" </dev/null
	done
