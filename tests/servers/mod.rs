//! Real servers for tests, started from their binaries: PostgreSQL, Redis and OpenBao.
//!
//! `shared()` gives one server a machine and user, whichever tests run in whichever processes, and each test takes a
//! database, key prefix or mount of its own. `private()` gives a server that a test may kill, freeze and restart.
//! [`keeper`] has how they end. A server that is not installed makes the test fail with the line that installs it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test takes what it needs of these helpers, and a helper may say what it expects"
)]

mod binary;
mod keeper;
mod openbao;
mod postgres;
mod proxy;
mod redis;

pub(crate) use self::{
    keeper::is_alive, openbao::OpenBao, postgres::Postgres, proxy::Proxy, redis::Redis,
};

/// A name that no other test uses, of lower-case letters, digits and underscores, beginning with a letter. (The number of
/// a process would not do: a shared server may outlive many of them, and numbers come again.)
pub(crate) fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};

    let random = RandomState::new().build_hasher().finish();
    format!("{prefix}_{random:016x}")
}

/// A loopback port that was free just now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
