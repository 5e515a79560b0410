#!/usr/bin/env bash
# Keys over https with client certificates, shown with curl: each line is a request and the status it got.
#
#   examples/https_service/try_it.sh
#
# Starts the example on free ports with certificates in a temporary folder, and ends it with itself. Set HTTPS_SERVICE to a
# binary that is built already.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
die() { echo "$*" >&2; cat "$folder/log" >&2 2>/dev/null || true; exit 1; }
command -v curl >/dev/null || die "curl is needed: apt-get install curl"

if [ -z "${HTTPS_SERVICE:-}" ]; then
    HTTPS_SERVICE=$(cargo build --release --example https_service --features axum --message-format json |
        sed -n 's/.*"executable":"\([^"]*https_service\)".*/\1/p' | tail -n 1)
fi
KEYWARD_HTTPS=127.0.0.1:0 KEYWARD_HTTP=127.0.0.1:0 KEYWARD_CERTS="$folder" \
    "$HTTPS_SERVICE" >"$folder/out" 2>"$folder/log" &
pid=$!
for _ in $(seq 300); do grep -q '^http:' "$folder/out" && break; kill -0 "$pid" 2>/dev/null || die "it ended at once"; sleep 0.1; done
grep -q '^http:' "$folder/out" || die "it does not listen"

value() { sed -n "s/^$1: .*:\([0-9]*\)$/\1/p" "$folder/out"; }
HTTPS=https://localhost:$(value https)
HTTP=http://127.0.0.1:$(value http)
key() { sed -n "s/^key $1, .*shown this once: //p" "$folder/out"; }
id() { sed -n "s/^key $1, id \([^,]*\),.*/\1/p" "$folder/out"; }
PLAIN=$(key plain) BOUND=$(key bound) TRIAL=$(key trial) BATCH=$(key batch) ADMIN=$(key admin)

# Prints the status, where it redirects to, and how many HSTS fields there were. 000: TLS let nothing through.
ask() {
    local what=$1; shift
    : >"$folder/head"
    local status; status=$(curl -s --max-time 60 --cacert "$folder/authority.pem" -o /dev/null -D "$folder/head" -w '%{http_code}' "$@") || true
    local hsts; hsts=$(grep -ci '^strict-transport-security:' "$folder/head" || true)
    local location; location=$(tr -d '\r' <"$folder/head" | sed -n 's/^[Ll]ocation: //p' | sed "s/:$(value https)//")
    echo "$what: $status${location:+ to $location}, hsts $hsts"
}
as() { echo "X-API-Key: $1"; }
cert() { echo "$folder/$1.pem"; }

echo "# 000 stands for an answer that TLS did not let through"
echo "# in clear"
ask "an API call" "$HTTP/v1/me" -H "$(as "$PLAIN")"
ask "an API call that takes html" "$HTTP/v1/me" -H 'Accept: text/html'
ask "a browser on the start page" "$HTTP/" -H 'Accept: text/html'

echo "# encrypted, a key and no certificate"
ask "no key" "$HTTPS/v1/me"
ask "a key" "$HTTPS/v1/me" -H "$(as "$PLAIN")"
ask "a route that wants a bound key" -X POST "$HTTPS/v1/payouts" -H "$(as "$PLAIN")"
ask "a key whose role is used elsewhere" "$HTTPS/v1/me" -H "$(as "$BATCH")"
ask "no such route" "$HTTPS/v1/nothing" -H "$(as "$PLAIN")"
ask "the first request of two" "$HTTPS/v1/me" -H "$(as "$TRIAL")"
ask "the second" "$HTTPS/v1/me" -H "$(as "$TRIAL")"
ask "one too many" "$HTTPS/v1/me" -H "$(as "$TRIAL")"

echo "# encrypted, a key that is bound to a certificate"
ask "without certificate" "$HTTPS/v1/me" -H "$(as "$BOUND")"
ask "with its certificate" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert client)"
ask "with its certificate, where one is wanted" -X POST "$HTTPS/v1/payouts" -H "$(as "$BOUND")" --cert "$(cert client)"
ask "with one of another authority" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert stranger)"
ask "with an expired one" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert expired)"
ask "with a renewed one, same key pair" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert renewed-same-key)"
ask "with a renewed one, new key pair" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert renewed-new-key)"
ask "another key, with any certificate" "$HTTPS/v1/me" -H "$(as "$PLAIN")" --cert "$(cert renewed-new-key)"
told=$(grep -v -e '-----' <(sed '/PRIVATE/,$d' "$(cert client)") | tr -d '\n')
ask "with a certificate that a header tells of" "$HTTPS/v1/me" -H "$(as "$BOUND")" -H "Client-Cert: :$told:"

echo "# bound to the renewed certificate"
bind() { ask "$1" -X PUT "$HTTPS/v1/keys/$(id bound)/certificate" -H "$(as "$2")" --data-binary @"$folder/renewed-new-key.thumbprint" "${@:3}"; }
bind "by the key itself" "$BOUND" --cert "$(cert client)"
bind "by an admin key" "$ADMIN"
ask "the old certificate" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert client)"
ask "the renewed one" "$HTTPS/v1/me" -H "$(as "$BOUND")" --cert "$(cert renewed-new-key)"
