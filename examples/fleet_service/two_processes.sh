#!/usr/bin/env bash
# Two processes of fleet_service over one PostgreSQL and one Redis: what is revoked in one is refused by the other on the
# very next request, and sixty requests a minute are sixty over both.
#
#   examples/fleet_service/two_processes.sh
#
# Starts a PostgreSQL and a Redis of its own on sockets in a temporary folder, and ends them with itself. Needs their
# binaries (apt-get install postgresql redis-server) and curl. Set KEYWARD_POSTGRES and KEYWARD_REDIS to use yours instead,
# and FLEET_SERVICE to a binary that is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
pids=()
finish() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
# What the parts had to say is gone with the folder, so it is shown first.
die() { echo "$*" >&2; tail -n 5 "$folder"/*.log >&2 2>/dev/null || true; exit 1; }
await() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; die "no answer: $*"; }

if [ -z "${KEYWARD_POSTGRES:-}" ]; then
    # Debian keeps each version in a folder of its own; elsewhere the binaries are on the path.
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [ ! -x "$bin/postgres" ]; then
        command -v postgres >/dev/null || die "PostgreSQL is needed: apt-get install postgresql"
        bin=$(dirname "$(command -v postgres)")
    fi
    mkdir "$folder/postgres"
    as=()
    # PostgreSQL refuses to run as root.
    if [ "$(id -u)" = 0 ]; then
        chmod 711 "$folder"; chown postgres "$folder/postgres"
        as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    fi
    (cd "$folder/postgres" && "${as[@]}" "$bin/initdb" -D data -U postgres -A trust -E UTF8 --no-sync >/dev/null)
    (cd "$folder/postgres" && exec "${as[@]}" "$bin/postgres" -D data -k "$folder/postgres" -c listen_addresses= -c fsync=off) \
        >"$folder/postgres.log" 2>&1 &
    pids+=($!)
    await "$bin/createdb" -h "$folder/postgres" -U postgres keyward
    export KEYWARD_POSTGRES="postgres:///keyward?host=$folder/postgres&user=postgres"
fi
if [ -z "${KEYWARD_REDIS:-}" ]; then
    command -v redis-server >/dev/null || die "Redis is needed: apt-get install redis-server"
    redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no --dir "$folder" >"$folder/redis.log" &
    pids+=($!)
    await test -S "$folder/redis.sock"
    export KEYWARD_REDIS="redis+unix://$folder/redis.sock"
fi
if [ -z "${FLEET_SERVICE:-}" ]; then
    # Cargo says where it puts things; that may be set in many places.
    FLEET_SERVICE=$(cargo build --release --example fleet_service --features axum,postgres,redis --message-format json |
        sed -n 's/.*"executable":"\([^"]*fleet_service\)".*/\1/p' | tail -n 1)
fi

# A machine that builds or tests beside this may take longer than the usual 25 ms; this is about counting.
export KEYWARD_REDIS_DEADLINE_MS=${KEYWARD_REDIS_DEADLINE_MS:-1000}
# At the same time, on an empty database: they make its tables once and one admin key between them.
for name in a b; do
    KEYWARD_ADDR=127.0.0.1:0 KEYWARD_NAME=$name "$FLEET_SERVICE" >"$folder/$name" 2>"$folder/$name.log" &
    pids+=($!)
done
for name in a b; do await grep -q 'listening on' "$folder/$name"; done
A=$(sed -n 's/.*listening on //p' "$folder/a"); B=$(sed -n 's/.*listening on //p' "$folder/b")
ADMIN=$(sed -n 's/.*shown this once: //p' "$folder/a" "$folder/b")
[ "$(wc -l <<<"$ADMIN")" = 1 ] && [ -n "$ADMIN" ] || die "one admin key was expected"
echo "two processes: $A and $B"

command -v curl >/dev/null || die "curl is needed: apt-get install curl"
status() { curl -s --max-time 60 -o /dev/null -w '%{http_code}\n' "$@"; }
expect() { [ "$2" = "$3" ] || die "$1: expected $2, got $3"; echo "$1: $3"; }
issue() {
    curl -s --max-time 60 "$A/admin/keys" -H "X-API-Key: $ADMIN" -H 'Content-Type: application/json' \
        -d '{"name":"mailer","owner":"acme","scopes":["send_email"],"tier":"starter"}' >"$folder/key"
    KEY=$(sed 's/.*"key":"\([^"]*\)".*/\1/' "$folder/key"); ID=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$folder/key")
}

# A token comes back each second, so the sixty must be sent within one; a busy machine may need another try.
for try in 1 2 3 4 5; do
    issue
    # The first use of a key costs each process a slow hash; three seconds pay back what it took of the limit.
    status "$A/v1/me" -H "X-API-Key: $KEY" >/dev/null; status "$B/v1/me" -H "X-API-Key: $KEY" >/dev/null
    sleep 3
    begun=$(date +%s%N)
    served=$({ status "$A/v1/me?[1-30]" -H "X-API-Key: $KEY"; status "$B/v1/me?[1-30]" -H "X-API-Key: $KEY"; } | grep -c 200 || true)
    in_a=$(status "$A/v1/me" -H "X-API-Key: $KEY"); in_b=$(status "$B/v1/me" -H "X-API-Key: $KEY")
    [ $(($(date +%s%N) - begun)) -ge 1000000000 ] || break
done
expect "sixty requests of a starter key, thirty in each" 60 "$served"
expect "the 61st in a" 429 "$in_a"
expect "the 61st in b" 429 "$in_b"

sleep 2
expect "the key in b, before" 200 "$(status "$B/v1/me" -H "X-API-Key: $KEY")"
revoked=$(status "$A/admin/keys/$ID/revoke" -H "X-API-Key: $ADMIN" -H 'Content-Type: application/json' -d '{"reason":"shown"}')
expect "revoked in a" 200 "$revoked"
expect "the very next request in b" 401 "$(status "$B/v1/me" -H "X-API-Key: $KEY")"
echo "ok"
