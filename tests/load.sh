#!/usr/bin/env bash
# The example service under load, on loopback: 50 000 requests of one key, alone and beside a flood of wrong keys.
#
#   ./tests/load.sh [seconds]     each part, 10 by default; needs wrk, curl and python3 (installs wrk and curl as root)
#
# Prints the good client's latencies with and without the flood, and at the end how many slow hashes were computed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
for tool in wrk curl python3; do
    command -v "$tool" >/dev/null || { [ "$(id -u)" = 0 ] && apt-get install -y -qq "$tool"; } ||
        { echo "$tool is needed: apt-get install $tool" >&2; exit 1; }
done

cargo build --quiet --release --example axum_service --features axum,sqlite
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
KEYWARD_ADDR=127.0.0.1:0 KEYWARD_DB="$folder/keyward.sqlite" target/release/examples/axum_service >"$folder/out" 2>"$folder/log" &
server=$!
until grep -q 'listening on' "$folder/out"; do sleep 0.1; done
admin=$(sed -n 's/.*shown this once: //p' "$folder/out")
api=$(sed -n 's/.*listening on //p' "$folder/out")
key=$(curl -s "$api/admin/keys" -H "X-API-Key: $admin" -H 'Content-Type: application/json' \
    -d '{"name":"load","owner":"load","scopes":["send_email"],"tier":"internal"}' | sed 's/.*"key":"\([^"]*\)".*/\1/')
curl -s -o /dev/null "$api/v1/me" -H "X-API-Key: $key"

echo "== 50 000 requests of one key and more, $seconds s"
wrk -t1 -c16 -d"${seconds}s" --latency -H "X-API-Key: $key" "$api/v1/me" | tee "$folder/many"
served=$(awk '/requests in/{print $1}' "$folder/many")
[ "$served" -ge 50000 ] || { echo "only $served requests in $seconds s: give it more" >&2; exit 1; }
! grep 'Non-2xx' "$folder/many" || exit 1

# A steady client: few connections, so that latency is the service's and not a queue's.
echo "== the good client alone, $seconds s"
wrk -t1 -c2 -d"${seconds}s" --latency -H "X-API-Key: $key" "$api/v1/me" | tee "$folder/alone"

echo "== beside a flood of well-formed wrong keys, $seconds s"
python3 - >"$folder/flood.lua" <<'PY'
import random, string, zlib
alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
def key():
    body = "pm_live_" + "".join(random.choice(alphabet) for _ in range(55))
    check, tail = zlib.crc32(body.encode()), ""
    for _ in range(6):
        check, digit = divmod(check, 62)
        tail = alphabet[digit] + tail
    return body + tail
print("local keys = {" + ",".join('"%s"' % key() for _ in range(5000)) + "}")
print('local n = 0; local due = 0')
print('function request() n = n % #keys + 1; return wrk.format("GET", "/v1/me", {["X-API-Key"] = keys[n]}) end')
# 2000 a second over 20 connections: one every ten milliseconds on each.
print('function delay() return 10 end')
PY
wrk -t1 -c20 -d"$((seconds + 2))s" -s "$folder/flood.lua" "$api" >"$folder/flooding" &
flood=$!
sleep 1
wrk -t1 -c2 -d"${seconds}s" --latency -H "X-API-Key: $key" "$api/v1/me" | tee "$folder/beside"
wait "$flood"
grep -E 'requests in|Non-2xx' "$folder/flooding"

kill -TERM "$server"
wait "$server" || true
echo "== p99 alone:  $(awk '$1=="99%"{print $2}' "$folder/alone")   beside the flood:  $(awk '$1=="99%"{print $2}' "$folder/beside")"
# The first admin key, its first use, the load key, its first use: four slow hashes are all there should be.
grep -o "ended;.*" "$folder/log"
