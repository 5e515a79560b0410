//! What happens to requests while Redis is frozen, gone, slow, full, read-only or somebody else's.
//!
//! No test measures how quick anything is; where a promise is about time, its bound is far above what it promises.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helper functions of a test, outside of #[test]"
)]

use std::error::Error;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use keyward::rate_limit::{
    GuardedRateLimiter, Mode, OutagePolicy, Quota, RateLimitError, RedisConnectError,
    RedisConnection, RedisRateLimiter, Source,
};

mod redis_limiter;
mod servers;

use redis_limiter::{check, eventually, hourly, key, left, take};
use servers::{Proxy, Redis};

/// Far above the deadline of 25 ms, and far below anything that waits for a server.
const AT_ONCE: Duration = Duration::from_millis(900);

/// A server of its own, and a limiter on it with a view of its connection.
struct Scene {
    server: Redis,
    connection: Arc<RedisConnection>,
    limiter: RedisRateLimiter,
}

impl Scene {
    async fn new() -> Self {
        let server = Redis::private(&[]);
        let connection = RedisConnection::connect(&server.url()).await.unwrap();
        let connection = Arc::new(connection);
        Self {
            server,
            limiter: RedisRateLimiter::new(Arc::clone(&connection)),
            connection,
        }
    }

    async fn until_disconnected(&self) {
        let connection = &self.connection;
        eventually("the link is given up", async || !connection.is_connected()).await;
    }

    async fn until_connected(&self) {
        let connection = &self.connection;
        eventually("there is a new link", async || connection.is_connected()).await;
    }
}

/// Through a network that a test can spoil.
async fn through(proxy: &Proxy) -> Arc<RedisConnection> {
    let url = format!("redis://{}", proxy.address());
    Arc::new(RedisConnection::connect(&url).await.unwrap())
}

/// The numbers of the connections that a server has, the oldest first.
fn clients(server: &Redis) -> Vec<String> {
    let clients = server.command(&["CLIENT", "LIST", "TYPE", "normal"]);
    let id = |line: &str| line.split(' ').next().unwrap().to_owned();
    clients.lines().map(id).collect()
}

/// All that an error shows, its causes included.
fn shown(error: &dyn Error) -> String {
    let mut shown = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        shown.push_str(&format!(" {error:?} {error}"));
        cause = error.source();
    }
    shown
}

fn is_unavailable<T>(answer: &Result<T, RateLimitError>) -> bool {
    matches!(answer, Err(RateLimitError::Unavailable { .. }))
}

/// Sends more requests than it takes to open the breaker, each of which must be decided in time.
async fn decisions_at_once(limiter: &GuardedRateLimiter) -> Vec<Result<Source, RateLimitError>> {
    let (quota, mut decisions) = (hourly(90), Vec::new());
    for _ in 0..20 {
        let start = Instant::now();
        let decision = take(limiter, &quota).await;
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        decisions.push(decision.map(|decision| decision.source()));
    }
    decisions
}

#[tokio::test]
async fn a_frozen_server_holds_no_request_beyond_its_deadline() {
    let scene = Scene::new().await;
    let limiter = scene.limiter.guarded(OutagePolicy::Refuse);
    scene.server.freeze();
    let decisions = decisions_at_once(&limiter).await;
    assert!(decisions.iter().all(Result::is_err));
    assert!(matches!(
        decisions.first(),
        Some(Err(RateLimitError::Timeout))
    ));
    assert_eq!(limiter.counts().refused, 20);
    scene.server.thaw();
}

#[tokio::test]
async fn a_frozen_server_leaves_the_decision_to_this_process() {
    let scene = Scene::new().await;
    let nodes = NonZeroU32::new(9).unwrap();
    let limiter = scene.limiter.guarded(OutagePolicy::Local).with_nodes(nodes);
    scene.server.freeze();
    let (quota, mut allowed) = (hourly(90), 0);
    for _ in 0..20 {
        let decision = take(&limiter, &quota).await.unwrap();
        assert_eq!(decision.source(), Source::Fallback);
        allowed += u32::from(decision.is_allowed());
    }
    assert_eq!(allowed, 10, "a ninth of 90");
    scene.server.thaw();
}

#[tokio::test]
async fn a_frozen_server_lets_everything_pass_when_told_so() {
    let scene = Scene::new().await;
    let limiter = scene.limiter.guarded(OutagePolicy::Allow);
    scene.server.freeze();
    let decisions = decisions_at_once(&limiter).await;
    let passed = |decision: &Result<_, _>| matches!(decision, Ok(Source::Policy));
    assert!(decisions.iter().all(passed));
    assert_eq!(limiter.counts().allowed, 20);
    scene.server.thaw();
}

/// Nobody has to restart the service, and no request has to find out.
#[tokio::test]
async fn a_frozen_server_is_given_up_and_taken_back_when_it_answers() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    scene.server.freeze();
    scene.until_disconnected().await;
    assert!(is_unavailable(&take(&scene.limiter, &quota).await));
    scene.server.thaw();
    scene.until_connected().await;
    assert!(take(&scene.limiter, &quota).await.unwrap().is_allowed());
}

/// Begins as many calls as may wait for an answer, and tells whether all of them were let in.
async fn a_whole_room_is_let_in(limiter: &RedisRateLimiter, quota: &Quota) -> bool {
    let looking = [key("a", quota, 1)];
    let begin = |_| {
        let mut call = Box::pin(check(limiter, &looking, Mode::Peek));
        let first = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        first.is_pending().then_some(call)
    };
    let calls: Vec<_> = (0..4096).map(begin).collect();
    // Now they are written to the server, so that giving them up leaves their answers to be waited for.
    tokio::task::yield_now().await;
    calls.iter().all(Option::is_some)
}

/// Calls whose callers are gone still wait for their answers inside the connection, so they have to count.
#[tokio::test]
async fn calls_that_nobody_waits_for_do_not_pile_up() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    scene.server.freeze();
    assert!(a_whole_room_is_let_in(&scene.limiter, &quota).await);
    let error = take(&scene.limiter, &quota).await.unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "too many calls are waiting for an answer");
    scene.server.thaw();
}

#[tokio::test]
async fn calls_that_nobody_waits_for_count_no_more_when_they_are_answered() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    for _ in 0..3 {
        let again = async || a_whole_room_is_let_in(&scene.limiter, &quota).await;
        eventually("the whole room is there again", again).await;
    }
}

#[tokio::test]
async fn a_killed_server_fails_calls_at_once_and_comes_back_exact() {
    let scene = Scene::new().await;
    let quota = hourly(60);
    assert!(take(&scene.limiter, &quota).await.unwrap().is_allowed());
    scene.server.kill();
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(is_unavailable(&take(&scene.limiter, &quota).await));
    }
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());

    scene.server.restart();
    scene.until_connected().await;
    let mut allowed = 0;
    for _ in 0..100 {
        allowed += u32::from(take(&scene.limiter, &quota).await.unwrap().is_allowed());
    }
    assert_eq!(allowed, 60);
}

#[tokio::test]
async fn an_idle_link_to_a_killed_server_is_found_out_without_a_request() {
    let scene = Scene::new().await;
    scene.server.kill();
    scene.until_disconnected().await;
}

#[tokio::test]
async fn a_guarded_limiter_returns_to_a_server_that_is_back() {
    let scene = Scene::new().await;
    let limiter = scene.limiter.guarded(OutagePolicy::Local);
    scene.server.kill();
    for decision in decisions_at_once(&limiter).await {
        assert_eq!(decision.unwrap(), Source::Fallback);
    }
    scene.server.restart();
    let quota = hourly(90);
    let source = async || take(&limiter, &quota).await.unwrap().source();
    eventually("Redis is asked again", async || {
        source().await == Source::Backend
    })
    .await;
}

#[tokio::test]
async fn a_slow_network_is_waited_for_as_long_as_told_and_not_given_up() {
    let server = Redis::private(&[]);
    let proxy = Proxy::to(server.socket());
    let connection = through(&proxy).await;
    let quota = hourly(9);
    let patient = RedisRateLimiter::new(Arc::clone(&connection)).guarded(OutagePolicy::Refuse);
    let patient = patient.with_deadline(Duration::from_secs(20));
    let hasty = RedisRateLimiter::new(Arc::clone(&connection)).guarded(OutagePolicy::Refuse);
    proxy.delay(Duration::from_millis(100));
    let timed_out = take(&hasty, &quota).await.unwrap_err();
    assert!(matches!(timed_out, RateLimitError::Timeout));
    let decision = take(&patient, &quota).await.unwrap();
    assert_eq!(decision.source(), Source::Backend);
    assert!(connection.is_connected());
}

/// It may have been counted, so it is not sent again; and what has been sent does count.
#[tokio::test]
async fn a_call_that_timed_out_is_sent_once() {
    let server = Redis::private(&[]);
    let proxy = Proxy::to(server.socket());
    let limiter = RedisRateLimiter::new(through(&proxy).await);
    let quota = hourly(9);
    assert_eq!(left(&limiter, "a", &quota).await, 9);
    proxy.delay(Duration::from_millis(50));
    for _ in 0..3 {
        let call = take(&limiter, &quota);
        let answer = tokio::time::timeout(Duration::from_millis(1), call).await;
        assert!(answer.is_err(), "the network is slower than that");
    }
    proxy.delay(Duration::ZERO);
    assert_eq!(left(&limiter, "a", &quota).await, 6);
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_found_out_without_a_request() {
    let server = Redis::private(&[]);
    let proxy = Proxy::to(server.socket());
    let connection = through(&proxy).await;
    let limiter = RedisRateLimiter::new(Arc::clone(&connection));
    proxy.stall();
    eventually("the link is given up", async || !connection.is_connected()).await;
    assert!(is_unavailable(&take(&limiter, &hourly(5)).await));
    proxy.flow();
    eventually("there is a new link", async || connection.is_connected()).await;
    assert!(take(&limiter, &hourly(5)).await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_cut_network_fails_calls_until_it_is_mended() {
    let server = Redis::private(&[]);
    let proxy = Proxy::to(server.socket());
    let connection = through(&proxy).await;
    let limiter = RedisRateLimiter::new(Arc::clone(&connection));
    proxy.cut();
    assert!(is_unavailable(&take(&limiter, &hourly(5)).await));
    proxy.flow();
    eventually("there is a new link", async || connection.is_connected()).await;
    assert_eq!(left(&limiter, "a", &hourly(5)).await, 5);
}

#[tokio::test]
async fn without_a_guard_a_call_still_has_an_end() {
    let scene = Scene::new().await;
    scene.server.freeze();
    let quota = hourly(5);
    let call = take(&scene.limiter, &quota);
    let answer = tokio::time::timeout(Duration::from_secs(20), call).await;
    assert!(answer.unwrap().unwrap_err().is_outage());
    scene.server.thaw();
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_script_is_sent_it_again() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    for remaining in [4, 3] {
        scene.server.command(&["SCRIPT", "FLUSH"]);
        let decision = take(&scene.limiter, &quota).await.unwrap();
        assert_eq!(decision.states().next().unwrap().remaining(), remaining);
    }
}

#[tokio::test]
async fn a_call_is_one_command_whatever_it_charges() {
    let scene = Scene::new().await;
    let (quota, ids) = (hourly(5), Vec::from_iter((0..16).map(|id| id.to_string())));
    let charges: Vec<_> = ids.iter().map(|id| key(id, &quota, 1)).collect();
    assert!(take(&scene.limiter, &quota).await.unwrap().is_allowed());
    scene.server.command(&["CONFIG", "RESETSTAT"]);
    let all = check(&scene.limiter, &charges, Mode::Consume).await;
    assert!(all.unwrap().is_allowed());
    let stats = scene.server.command(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_evalsha:calls=1,"), "{stats}");
    assert!(!stats.contains("cmdstat_eval:"), "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_limiters_admit_exactly_the_burst() {
    let server = Redis::shared();
    let (prefix, mut tasks) = (servers::unique("limits"), Vec::new());
    for _ in 0..4 {
        let connection = RedisConnection::connect(&server.url()).await.unwrap();
        let limiter = RedisRateLimiter::builder(connection).prefix(&prefix);
        let limiter = Arc::new(limiter.build());
        for _ in 0..16 {
            let limiter = Arc::clone(&limiter);
            tasks.push(tokio::spawn(async move {
                let (quota, mut allowed) = (hourly(60), 0);
                for _ in 0..10 {
                    allowed += u32::from(take(&limiter, &quota).await.unwrap().is_allowed());
                }
                allowed
            }));
        }
    }
    let mut allowed = 0;
    for task in tasks {
        allowed += task.await.unwrap();
    }
    assert_eq!(allowed, 60);
}

#[tokio::test]
async fn a_server_without_room_is_an_outage() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    assert!(take(&scene.limiter, &quota).await.unwrap().is_allowed());
    scene.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = take(&scene.limiter, &quota).await.unwrap_err();
    assert!(shown(&error).contains("server answered OOM"), "{error:?}");
    assert!(error.is_outage() && scene.connection.is_connected());
    scene.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(left(&scene.limiter, "a", &quota).await, 4);
}

/// A script of somebody else's that does not end: the server answers everything with `BUSY`, as it does with `LOADING`.
#[tokio::test]
async fn a_server_that_is_busy_is_an_outage() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    scene
        .server
        .command(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let url = scene.server.url();
    let endless = std::thread::spawn(move || {
        let client = ::redis::Client::open(url).unwrap();
        let mut connection = client.get_connection().unwrap();
        let script = ::redis::Script::new("while true do end");
        script.invoke::<()>(&mut connection).unwrap_err()
    });
    let limiter = &scene.limiter;
    eventually("the server says that it is busy", async || {
        take(limiter, &quota)
            .await
            .is_err_and(|error| error.is_outage())
    })
    .await;
    scene.server.command(&["SCRIPT", "KILL"]);
    endless.join().unwrap();
    eventually("it answers again", async || {
        take(limiter, &quota).await.is_ok()
    })
    .await;
}

/// After a failover the old address may lead to a replica for ever: another connection has to be made.
#[tokio::test]
async fn a_server_that_has_become_a_replica_is_an_outage_until_it_is_none() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    assert!(take(&scene.limiter, &quota).await.unwrap().is_allowed());
    let first = clients(&scene.server).remove(0);
    scene.server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = take(&scene.limiter, &quota).await.unwrap_err();
    assert!(shown(&error).contains("server answered READONLY"));
    assert!(error.is_outage());
    let replaced = async || !clients(&scene.server).contains(&first);
    eventually("the connection is replaced", replaced).await;
    scene.server.command(&["REPLICAOF", "NO", "ONE"]);
    let limiter = &scene.limiter;
    eventually("it counts again", async || {
        take(limiter, &quota).await.is_ok()
    })
    .await;
}

/// Each of its answers asks for another connection, which is made ever more slowly.
#[tokio::test]
async fn a_server_that_stays_a_replica_is_not_connected_to_without_a_pause() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    scene.server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let connections = || {
        let stats = scene.server.command(&["INFO", "stats"]);
        let mut lines = stats.lines();
        let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().parse::<u32>().unwrap()
    };
    let (start, before, mut asked) = (Instant::now(), connections(), 0);
    eventually("it has been connected to five times", async || {
        assert!(take(&scene.limiter, &quota).await.is_err());
        asked += 1;
        connections() >= before + asked + 5
    })
    .await;
    // At once, then after 50, 100, 200 and 400 ms.
    assert!(start.elapsed() >= Duration::from_millis(750));
}

#[tokio::test]
async fn a_key_of_another_type_is_an_outage_and_is_left_as_it_is() {
    let scene = Scene::new().await;
    let quota = hourly(5);
    let name = "keyward:{key:a}:slow";
    scene.server.command(&["LPUSH", name, "somebody's"]);
    for mode in [Mode::Consume, Mode::Peek, Mode::Refund] {
        let both = [key("b", &quota, 1), key("a", &quota, 1)];
        let error = check(&scene.limiter, &both, mode).await.unwrap_err();
        assert!(error.is_outage() && shown(&error).contains("WRONGTYPE"));
        assert!(!shown(&error).contains("key:a"), "names no subject");
    }
    assert_eq!(scene.server.command(&["LLEN", name]), "1");
    assert_eq!(left(&scene.limiter, "b", &quota).await, 5);
}

#[tokio::test]
async fn a_value_that_is_no_number_is_an_outage_and_is_left_as_it_is() {
    let scene = Scene::new().await;
    let name = "keyward:{key:a}:slow";
    scene.server.command(&["SET", name, "somebody's"]);
    let error = take(&scene.limiter, &hourly(5)).await.unwrap_err();
    assert!(shown(&error).contains("server answered NOTABUCKET"));
    assert_eq!(scene.server.command(&["GET", name]), "somebody's");
}

#[tokio::test]
async fn a_service_that_wants_redis_does_not_start_without() {
    let nobody = format!("redis://127.0.0.1:{}", servers::free_port());
    let error = RedisConnection::connect(&nobody).await.unwrap_err();
    assert!(matches!(error, RedisConnectError::Unreachable { .. }));
    assert!(shown(&error).contains("connection refused"), "{error:?}");
}

#[tokio::test]
async fn a_service_that_starts_before_redis_finds_it_by_itself() {
    let server = Redis::private(&[]);
    server.kill();
    let connection = Arc::new(RedisConnection::open(&server.url()).unwrap());
    let limiter = RedisRateLimiter::new(Arc::clone(&connection));
    assert!(is_unavailable(&take(&limiter, &hourly(5)).await));
    server.restart();
    eventually("there is a link", async || connection.is_connected()).await;
    assert!(take(&limiter, &hourly(5)).await.unwrap().is_allowed());
}

/// A server that takes connections and says nothing must not be waited for without end.
#[tokio::test]
async fn connecting_to_a_frozen_server_has_an_end() {
    let server = Redis::private(&[]);
    server.freeze();
    let url = server.url();
    let connect = RedisConnection::connect(&url);
    let error = tokio::time::timeout(Duration::from_secs(20), connect).await;
    let error = error.unwrap().unwrap_err();
    assert!(matches!(error, RedisConnectError::Unreachable { .. }));
    server.thaw();
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    const RIGHT: &str = "right-Vf7Kq2";
    const WRONG: &str = "wrong-Xw9Zt4";
    let server = Redis::private(&[]);
    server.command(&["CONFIG", "SET", "requirepass", RIGHT]);
    let url = |password| format!("{}?pass={password}", server.url());
    let refused = RedisConnection::connect(&url(WRONG)).await.unwrap_err();
    assert!(matches!(refused, RedisConnectError::Unreachable { .. }));
    assert!(
        shown(&refused).contains("authentication failed"),
        "{refused:?}"
    );

    let waiting = Arc::new(RedisConnection::open(&url(WRONG)).unwrap());
    let limiter = RedisRateLimiter::new(Arc::clone(&waiting));
    let error = take(&limiter, &hourly(5)).await.unwrap_err();
    let connected = RedisConnection::connect(&url(RIGHT)).await.unwrap();
    let builder = RedisRateLimiter::builder(connected);
    let shown = [
        shown(&refused),
        shown(&error),
        format!("{waiting:?} {waiting:#?} {limiter:?}"),
        format!("{builder:?}"),
        format!("{:?}", builder.build().guarded(OutagePolicy::Local)),
        format!(
            "{:?}",
            RedisConnection::open(&format!("http://:{RIGHT}@cache"))
        ),
        format!(
            "{:?}",
            RedisConnection::open(&format!("rediss://:{RIGHT}@cache"))
        ),
    ];
    for shown in shown {
        assert!(!shown.contains(RIGHT) && !shown.contains(WRONG), "{shown}");
        assert!(!shown.contains("redis.sock"), "{shown}");
    }
}

/// What the documentation of `RedisConnection` says an account needs, and nothing else.
#[tokio::test]
async fn an_account_with_few_rights_is_enough() {
    let server = Redis::private(&[]);
    let rights = "on >Vf7Kq2 ~keyward:* +eval +evalsha +time +get +set +incrby +pexpireat +del";
    let words: Vec<&str> = ["ACL", "SETUSER", "limits"]
        .into_iter()
        .chain(rights.split(' '))
        .collect();
    server.command(&words);
    let url = format!("{}?user=limits&pass=Vf7Kq2", server.url());
    let connection = RedisConnection::connect(&url).await.unwrap();
    let (limiter, quota) = (RedisRateLimiter::new(connection), hourly(5));
    for mode in [Mode::Consume, Mode::Refund, Mode::Peek] {
        let both = [key("a", &quota, 1), key("b", &quota, 2)];
        assert!(check(&limiter, &both, mode).await.unwrap().is_allowed());
    }
    for _ in 0..2 {
        assert!(take(&limiter, &quota).await.unwrap().is_allowed());
    }
    server.command(&["ACL", "SETUSER", "limits", "-incrby"]);
    let error = take(&limiter, &quota).await.unwrap_err();
    assert!(error.is_outage() && !shown(&error).contains("key:a"));
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_told_apart() {
    let open = |url| RedisConnection::open(url).unwrap_err();
    for url in [
        "",
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://cache/x",
    ] {
        assert!(matches!(open(url), RedisConnectError::Address), "{url}");
    }
    for url in ["rediss://cache", "valkeys://:Vf7Kq2@cache:6379/0"] {
        assert!(matches!(open(url), RedisConnectError::NoTls), "{url}");
    }
    assert!(matches!(open("rediss://"), RedisConnectError::Address));
}

#[test]
fn a_connection_needs_a_runtime() {
    let error = RedisConnection::open("redis://cache").unwrap_err();
    assert!(matches!(error, RedisConnectError::NoRuntime));
}

#[tokio::test]
async fn nothing_is_left_running_when_the_limiter_is_dropped() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let scene = Scene::new().await;
    assert!(take(&scene.limiter, &hourly(5)).await.unwrap().is_allowed());
    assert!(tasks() > before);
    let Scene {
        server,
        connection,
        limiter,
    } = scene;
    drop((connection, limiter));
    eventually("its tasks have ended", async || tasks() == before).await;
    assert_eq!(clients(&server).len(), 1, "only the one that asks");
}

#[tokio::test]
async fn nothing_is_left_running_when_a_server_is_not_there() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let connection = RedisConnection::open("redis://127.0.0.1:1").unwrap();
    assert!(tasks() > before);
    drop(connection);
    eventually("its task has ended", async || tasks() == before).await;
}
