#!/usr/bin/env bash
# Installs what the tests run besides Go, where it is missing: PostgreSQL and
# Redis as servers, curl and bash for the tour of the README, and a C compiler
# for the race detector. Does nothing where all of it is there.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v curl >/dev/null || missing+=(curl ca-certificates)
command -v "$(go env CC)" >/dev/null || missing+=(gcc libc6-dev)
if [[ ${#missing[@]} -eq 0 ]]; then
	exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
	as_root=(sudo)
fi
if ! command -v apt-get >/dev/null || { [[ $(id -u) -ne 0 ]] && ! command -v sudo >/dev/null; }; then
	echo "The tests need what Debian calls: ${missing[*]}. Install it, then try again." >&2
	exit 1
fi
echo "Installing ${missing[*]} ..." >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
