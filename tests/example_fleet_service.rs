//! The fleet example: two processes over one PostgreSQL and one Redis, spoken to over HTTP, with engines that fail.
#![cfg(all(feature = "axum", feature = "postgres", feature = "redis"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

mod example_support;
mod servers;

use example_support::{Example, binary};
use servers::{Postgres, Redis};

/// Two processes and what they stand on.
struct Fleet {
    here: Example,
    there: Example,
    admin: String,
    database: String,
    redis: Redis,
    _folder: TempDir,
}

impl Fleet {
    fn start(postgres: &Postgres) -> Self {
        let server = Redis::private(&[]);
        let folder = tempfile::tempdir().unwrap();
        let database = postgres.database();
        let (url, redis) = (database.clone(), server.url());
        // At the same time: they make the tables and the first key between them.
        let [here, there] = ["here", "there"].map(|name| {
            let (folder, url, redis) = (folder.path().to_owned(), url.clone(), redis.clone());
            std::thread::spawn(move || {
                let settings = [
                    ("KEYWARD_POSTGRES", url.as_str()),
                    ("KEYWARD_REDIS", redis.as_str()),
                    ("KEYWARD_NAME", name),
                    // Other tests run beside this one, and what is tested is not how quick Redis is.
                    ("KEYWARD_REDIS_DEADLINE_MS", "2000"),
                ];
                Example::start("fleet_service", &folder, &settings)
            })
        });
        let (here, there) = (here.join().unwrap(), there.join().unwrap());
        let admins: Vec<_> = [&here.admin, &there.admin]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let [admin] = admins.as_slice() else {
            panic!("{} admin keys were made", admins.len());
        };
        Self {
            admin: admin.clone(),
            here,
            there,
            database,
            redis: server,
            _folder: folder,
        }
    }

    fn issue(&self, settings: &Value) -> (String, String) {
        let answer = self.here.post("/admin/keys", &self.admin, settings);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let json = answer.json();
        let text = |field: &str| json[field].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    /// Waits until both serve this key.
    fn until_served(&self, key: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        for process in [&self.here, &self.there] {
            loop {
                let status = process.get("/v1/me", key).status;
                if status == 200 {
                    break;
                }
                assert!(matches!(status, 429 | 503), "a good key got {status}");
                assert!(Instant::now() < end, "it does not recover");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// In a tier that no test exhausts.
fn busy() -> Value {
    json!({"name": "busy", "owner": "acme", "scopes": ["send_email"], "tier": "internal"})
}

#[test]
fn a_revocation_in_one_process_holds_for_the_very_next_request_in_the_other() {
    let fleet = Fleet::start(Postgres::shared());
    for round in 0..6 {
        let (revoker, other) = if round % 2 == 0 {
            (&fleet.here, &fleet.there)
        } else {
            (&fleet.there, &fleet.here)
        };
        let (id, key) = fleet.issue(&busy());
        assert_eq!(other.get("/v1/me", &key).status, 200);
        assert_eq!(other.get("/v1/me", &key).status, 200);
        let revoke = format!("/admin/keys/{id}/revoke");
        let revoked = revoker.post(&revoke, &fleet.admin, &json!({"reason": "over"}));
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        assert_eq!(other.get("/v1/me", &key).status, 401);
        assert_eq!(revoker.get("/v1/me", &key).status, 401);
    }
    fleet.here.terminate();
    fleet.there.terminate();
}

/// Refilling goes on while the requests run, so what is exact is the number over the time they took.
#[test]
fn sixty_a_minute_are_sixty_over_both_processes() {
    let fleet = Fleet::start(Postgres::shared());
    let starter =
        json!({"name": "s", "owner": "acme", "scopes": ["send_email"], "tier": "starter"});
    let (_, key) = fleet.issue(&starter);
    let begun = Instant::now();
    let (mut served, mut refused) = (0, Vec::new());
    for turn in 0..140 {
        let process = if turn % 2 == 0 {
            &fleet.here
        } else {
            &fleet.there
        };
        let answer = process.get("/v1/me", &key);
        match answer.status {
            200 => served += 1,
            429 => refused.push(answer),
            other => panic!("{other}: {}", answer.body),
        }
    }
    let refilled = begun.elapsed().as_secs();
    assert!(served >= 60, "{served} were served");
    assert!(
        served <= 60 + refilled,
        "{served} were served in {refilled} s"
    );
    for answer in refused {
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"starter\";q=60;w=60")
        );
    }
}

#[test]
fn without_redis_each_process_keeps_to_its_part_and_nobody_is_locked_out() {
    let fleet = Fleet::start(Postgres::shared());
    let (_, key) = fleet.issue(&busy());
    let starter =
        json!({"name": "s", "owner": "acme", "scopes": ["send_email"], "tier": "starter"});
    let (_, slow) = fleet.issue(&starter);
    fleet.until_served(&key);
    fleet.redis.kill();
    let begun = Instant::now();
    let served = (0..100)
        .filter(|_| fleet.here.get("/v1/me", &slow).status == 200)
        .count();
    let refilled = usize::try_from(begun.elapsed().as_secs()).unwrap() / 2;
    // Half of sixty, and a token each two seconds.
    assert!(
        (30..=31 + refilled).contains(&served),
        "{served} were served"
    );
    let answer = fleet.there.get("/v1/me", &slow);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some("\"starter\";q=30;w=60")
    );
    fleet.until_served(&key);

    fleet.redis.restart();
    let end = Instant::now() + Duration::from_secs(30);
    while fleet.here.get("/v1/me", &slow).header("ratelimit-policy")
        != Some("\"starter\";q=60;w=60")
    {
        assert!(Instant::now() < end, "it does not come back to Redis");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_postgresql_every_key_gets_try_later_and_none_is_called_wrong() {
    let postgres = Postgres::private(&[]);
    let fleet = Fleet::start(&postgres);
    let (_, key) = fleet.issue(&busy());
    fleet.until_served(&key);
    postgres.kill();
    for process in [&fleet.here, &fleet.there] {
        let answer = process.get("/v1/me", &key);
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.header("retry-after").is_some());
        assert_eq!(process.get("/healthz", "").status, 200);
    }
    postgres.restart();
    fleet.until_served(&key);
    let issued = fleet.there.post("/admin/keys", &fleet.admin, &busy());
    assert_eq!(issued.status, 201, "{}", issued.body);
}

/// Every text in the database, and everything both processes have logged at the most verbose level.
#[test]
fn writes_no_piece_of_a_secret_anywhere() {
    let fleet = Fleet::start(Postgres::shared());
    let (id, key) = fleet.issue(&busy());
    let rotate = format!("/admin/keys/{id}/rotate");
    let rotated = fleet
        .there
        .post(&rotate, &fleet.admin, &json!({"grace_seconds": 600}));
    let rotated = rotated.json()["key"].as_str().unwrap().to_owned();
    for key in [&key, &rotated, &fleet.admin] {
        assert_eq!(fleet.here.get("/v1/me", key).status, 200);
        assert_eq!(fleet.there.get("/v1/me", key).status, 200);
    }
    let database = fleet.database.clone();
    let logs = [&fleet.here, &fleet.there].map(|process| std::sync::Arc::clone(&process.log));
    let keys = [key, rotated, fleet.admin.clone()];
    let counted = redis_keys(&fleet.redis);
    fleet.here.terminate();
    fleet.there.terminate();
    let mut haystack = dump(&database).into_bytes();
    assert!(haystack.len() > 2000, "the dump holds the tables");
    for log in logs {
        haystack.extend_from_slice(&log.lock().unwrap());
    }
    haystack.extend_from_slice(counted.as_bytes());
    let haystack = String::from_utf8_lossy(&haystack);
    for key in keys {
        // `pm_live_`, twelve characters of id, forty-three of secret.
        let secret = &key[20..63];
        for window in 0..=secret.len() - 8 {
            let piece = &secret[window..window + 8];
            assert!(!haystack.contains(piece), "a piece of a secret was written");
        }
    }
}

/// The whole schema as text.
fn dump(url: &str) -> String {
    use keyward::store::sqlx::{self, PgPool};

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = PgPool::connect(url).await.unwrap();
        let mut text = String::new();
        for table in [
            "SELECT k::text FROM keyward.keys k",
            "SELECT a::text FROM keyward.audit a",
        ] {
            let rows: Vec<String> = sqlx::query_scalar(table).fetch_all(&pool).await.unwrap();
            text.push_str(&rows.join("\n"));
        }
        text
    })
}

fn redis_keys(redis: &Redis) -> String {
    use std::io::{Read as _, Write as _};

    let mut stream = std::os::unix::net::UnixStream::connect(redis.socket()).unwrap();
    stream.write_all(b"KEYS *\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The script that people run, with servers of its own, against the binary that is built already.
#[test]
fn runs_the_script_of_two_processes() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet_service/two_processes.sh");
    let output = Command::new("bash")
        .arg(script)
        .env("FLEET_SERVICE", binary("fleet_service"))
        .env_remove("KEYWARD_POSTGRES")
        .env_remove("KEYWARD_REDIS")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(
        told,
        [
            "sixty requests of a starter key, thirty in each: 60",
            "the 61st in a: 429",
            "the 61st in b: 429",
            "the key in b, before: 200",
            "revoked in a: 200",
            "the very next request in b: 401",
            "ok",
        ]
    );
}

/// The program that moves keys, on keys that the SQLite service has issued: they work on the fleet as they are, and what
/// was revoked meanwhile stays revoked.
#[cfg(feature = "sqlite")]
#[test]
fn keys_move_from_sqlite_to_postgresql_and_go_on_working() {
    let folder = tempfile::tempdir().unwrap();
    let single = Example::start("axum_service", folder.path(), &[]);
    let admin = single.admin().to_owned();
    let (kept, key) = single.issue(&busy());
    let (revoked, dead) = single.issue(&busy());
    let (late, leaked) = single.issue(&busy());
    let (switched, off) = single.issue(&busy());
    let revoke = |example: &Example, id: &str| {
        let path = format!("/admin/keys/{id}/revoke");
        let answer = example.post(&path, &admin, &json!({"reason": "over"}));
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    revoke(&single, &revoked);
    assert_eq!(single.get("/v1/me", &key).status, 200);

    let (postgres, redis) = (Postgres::shared(), Redis::private(&[]));
    let url = postgres.database();
    let moved_with = |flags: &[&str]| {
        let output = Command::new(binary("move_to_postgres"))
            .args(flags)
            .arg(folder.path().join("keyward.sqlite"))
            .arg(&url)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complaints = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said, complaints)
    };
    let moved = || moved_with(&[]);
    let nothing = String::new();
    let first = "copied 5, updated 0, revoked 0, the same already 0\n".to_owned();
    assert_eq!(
        moved(),
        (true, first, nothing.clone()),
        "while the old service runs"
    );
    revoke(&single, &late);
    let path = format!("/admin/keys/{switched}/disable");
    assert_eq!(single.post(&path, &admin, &json!({})).status, 200);
    single.terminate();
    let second = "copied 0, updated 1, revoked 1, the same already 3\n".to_owned();
    assert_eq!(moved_with(&["--file-wins"]), (true, second, nothing));

    let (redis_url, settings_url) = (redis.url(), url.clone());
    let settings = [
        ("KEYWARD_POSTGRES", settings_url.as_str()),
        ("KEYWARD_REDIS", redis_url.as_str()),
    ];
    let fleet = Example::start("fleet_service", folder.path(), &settings);
    assert_eq!(fleet.admin, None, "the admin key has moved as well");
    assert_eq!(fleet.get("/v1/me", &key).status, 200);
    for ended in [&dead, &leaked, &off] {
        assert_eq!(fleet.get("/v1/me", ended).status, 401);
    }
    let disable = fleet.post(&format!("/admin/keys/{kept}/disable"), &admin, &json!({}));
    assert_eq!(disable.status, 200, "{}", disable.body);
    let issued = fleet.post("/admin/keys", &admin, &busy());
    let made = issued.json()["id"].as_str().unwrap().to_owned();
    fleet.terminate();

    // Again, after PostgreSQL has gone on: nothing is set back, and what cannot be decided is named.
    let (decided, said, complaints) = moved();
    assert!(!decided);
    assert_eq!(said, "copied 0, updated 0, revoked 0, the same already 4\n");
    assert!(
        complaints.contains(&format!("{kept}: differs")),
        "{complaints}"
    );
    assert!(
        complaints.contains(&format!("{made}: not in the file")),
        "{complaints}"
    );
    let fleet = Example::start("fleet_service", folder.path(), &settings);
    assert_eq!(fleet.get("/v1/me", &key).status, 401);
}

/// A revocation is brought over although the key was changed in PostgreSQL as well, and as often.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn moving_keys_never_leaves_a_revoked_one_alive() {
    use keyward::access::{Grant, Scope};
    use keyward::hash::{DigestText, SecretOrigin};
    use keyward::key::{Credential, Environment, KeyRecord, Revocation};
    use keyward::store::{InsertKey, KeyStore as _, PostgresStore, SqliteStore};
    use keyward::time::Timestamp;

    let now = Timestamp::from_secs(1_700_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let old = SqliteStore::open(&path).await.unwrap();
    let record = KeyRecord::new(
        "0aZ9bY8cX7dW".parse().unwrap(),
        Environment::live(),
        "acme".parse().unwrap(),
        "moved",
        Grant::Scopes(vec![Scope::from_stored("leads:read")]),
        Credential::new(DigestText::new("$2b$12$x"), SecretOrigin::Generated, now),
        now,
        "user:ana".parse().unwrap(),
    );
    old.insert(InsertKey::new(record.clone())).await.unwrap();
    let url = Postgres::shared().database();
    let moved = || {
        let mut command = Command::new(binary("move_to_postgres"));
        command
            .arg(&path)
            .arg(&url)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(moved());
    let new = PostgresStore::connect(&url).await.unwrap();
    for name in ["renamed", "and again"] {
        let mut renamed = KeyRecord::clone(&new.find(&record.id).await.unwrap().unwrap());
        renamed.name = name.to_owned();
        new.update(&renamed).await.unwrap();
    }
    let mut revoked = record.clone();
    revoked.revocation = Some(Revocation::new(
        now,
        "user:ana".parse().unwrap(),
        "leaked".into(),
    ));
    old.update(&revoked).await.unwrap();
    assert!(moved());
    let there = new.find(&record.id).await.unwrap().unwrap();
    assert!(there.revocation.is_some());
    assert_eq!(there.name, "and again");
    // Neither is a key that was deleted meanwhile left without a word.
    let stored = old.find(&record.id).await.unwrap().unwrap();
    old.delete(&record.id, stored.revision).await.unwrap();
    assert!(moved(), "what is revoked there is nobody's worry");
    let mut other = record.clone();
    other.id = "0aZ9bY8cX7dX".parse().unwrap();
    new.insert(InsertKey::new(other)).await.unwrap();
    assert!(!moved());
}
