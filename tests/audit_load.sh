#!/usr/bin/env bash
# The example service under 100 000 requests of one key, with its audit trail in a file and without one, in turns.
#
#   ./tests/audit_load.sh [rounds]     3 by default; needs ab and curl (installs them as root)
#
# Fails unless every request has its event in the trail, or the service says how many it dropped. Prints the ratio of the
# median times.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
requests=100000
for tool in ab:apache2-utils curl:curl; do
    command -v "${tool%:*}" >/dev/null || { [ "$(id -u)" = 0 ] && apt-get install -y -qq "${tool#*:}"; } ||
        { echo "${tool%:*} is needed: apt-get install ${tool#*:}" >&2; exit 1; }
done

cargo build --quiet --release --example axum_service --features axum,sqlite
folder=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

# Seconds that the requests took with this trail; the trail and the service's log stay in the folder.
run() {
    rm -rf "${folder:?}"/*
    : >"$folder/out"
    KEYWARD_ADDR=127.0.0.1:0 KEYWARD_DB="$folder/keyward.sqlite" KEYWARD_AUDIT="$1" \
        target/release/examples/axum_service >"$folder/out" 2>"$folder/log" &
    server=$!
    until grep -q 'listening on' "$folder/out"; do sleep 0.1; done
    local admin api key
    admin=$(sed -n 's/.*shown this once: //p' "$folder/out")
    api=$(sed -n 's/.*listening on //p' "$folder/out")
    key=$(curl -s "$api/admin/keys" -H "X-API-Key: $admin" -H 'Content-Type: application/json' \
        -d '{"name":"load","owner":"load","scopes":["send_email"],"tier":"internal"}' | sed 's/.*"key":"\([^"]*\)".*/\1/')
    curl -s -o /dev/null "$api/v1/emails" -X POST -H "X-API-Key: $key"
    ab -q -k -n "$requests" -c 16 -H "X-API-Key: $key" "$api/v1/me" >"$folder/ab"
    kill -TERM "$server"
    wait "$server" || { echo "the service did not end well" >&2; exit 1; }
    grep -q "^Complete requests: *$requests$" "$folder/ab" && ! grep -q '^Non-2xx' "$folder/ab" ||
        { cat "$folder/ab" >&2; exit 1; }
    awk '/^Time taken/ { print $5 }' "$folder/ab"
}

# Every request has the event that it was accepted and the one that it ended.
count() {
    local kind found dropped
    dropped=$(sed -n 's/.*dropped: \([0-9]*\).*/\1/p' "$folder/log")
    for kind in authentication_succeeded request_completed; do
        found=$(grep -c "\"kind\":\"$kind\".*\"key_id\":\"[^\"]*\",\"owner\":\"load\"" "$folder/trail")
        echo "  $kind: $found of $((requests + 1)), dropped in all: $dropped"
        [ "$dropped" -gt 0 ] || [ "$found" -eq $((requests + 1)) ] ||
            { echo "events are missing that nobody counted" >&2; exit 1; }
    done
}

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

for round in $(seq "$rounds"); do
    without=$(run none)
    with=$(run "$folder/trail")
    echo "round $round: $without s without a trail, $with s with one"
    count
    echo "$without" >>/dev/fd/3
    echo "$with" >>/dev/fd/4
done 3>"${folder}.without" 4>"${folder}.with"
without=$(median <"${folder}.without") with=$(median <"${folder}.with")
rm -f "${folder}.without" "${folder}.with"
awk -v with="$with" -v without="$without" -v n="$requests" 'BEGIN {
    printf "median: %.0f requests/s with a trail, %.0f without; time with / time without = %.2f\n",
        n / with, n / without, with / without }'
