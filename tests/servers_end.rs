//! The servers that tests start: they answer, they are apart from one another, and they end with their users.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may say what it expects"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod servers;

use servers::{OpenBao, Postgres, Redis};

/// Started again by another test, as a process that can be killed.
const CHILD: &str = "KEYWARD_TEST_SERVERS_CHILD";

#[test]
fn a_child_that_only_waits_to_be_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (postgres, redis, bao) = (
        Postgres::private(&[]),
        Redis::private(&[]),
        OpenBao::private(),
    );
    println!(
        "\nservers: {} {} {}",
        postgres.pid(),
        redis.pid(),
        bao.pid()
    );
    loop {
        std::thread::park();
    }
}

#[test]
fn no_server_is_left_when_its_test_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_child_that_only_waits_to_be_killed",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("servers: "));
    let line = line.expect("the child starts its servers");
    let pids: Vec<u32> = line
        .split(' ')
        .skip(1)
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(pids.iter().all(|pid| servers::is_alive(*pid)), "{line}");

    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while pids.iter().any(|pid| servers::is_alive(*pid)) {
        assert!(Instant::now() < end, "still there: {line}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_server_comes_back_and_a_sealed_one_opens() {
    let postgres = Postgres::private(&[]);
    let url = postgres.database();
    postgres.kill();
    postgres.restart();
    assert!(url.contains("host="));
    let redis = Redis::private(&[]);
    redis.kill();
    redis.restart();
    let bao = OpenBao::private();
    bao.seal();
    assert_eq!(bao.try_call("GET", "sys/health", "").0, 503);
    bao.unseal();
    assert_eq!(bao.try_call("GET", "sys/health", "").0, 200);
}

#[test]
fn shared_servers_are_the_same_for_all_processes() {
    let pids = || {
        (
            Postgres::shared().pid(),
            Redis::shared().pid(),
            OpenBao::shared().pid(),
        )
    };
    let first = pids();
    assert!(servers::is_alive(first.0) && servers::is_alive(first.1) && servers::is_alive(first.2));
    assert_ne!(Postgres::shared().database(), Postgres::shared().database());
    assert_ne!(
        OpenBao::shared().mount("kv-v2"),
        OpenBao::shared().mount("transit")
    );
    assert_eq!(pids(), first);
}
