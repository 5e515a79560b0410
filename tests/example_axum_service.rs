//! The example service, started as its users start it, spoken to over HTTP.
#![cfg(all(feature = "axum", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

mod example_support;

use example_support::{Example, binary};

fn broker(name: &str) -> Value {
    json!({"name": name, "owner": "acme", "tenant": "t1", "role": "broker", "scopes": ["send_email"]})
}

fn start(folder: &Path) -> Example {
    start_with(folder, "keyward.audit.jsonl")
}

fn start_with(folder: &Path, trail: &str) -> Example {
    Example::start("axum_service", folder, &[("KEYWARD_AUDIT", trail)])
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn answers_a_missing_and_a_wrong_key_alike() {
    let folder = folder();
    let example = start(folder.path());
    let missing = example.request("GET", "/v1/me", &[], None);
    let malformed = example.get("/v1/me", "pm_live_nonsense");
    let unknown = example.get(
        "/v1/me",
        "pm_live_0PZkuZCsmChD0000000000000000000000000000000000000000000000000",
    );
    for answer in [&missing, &malformed, &unknown] {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, missing.body);
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn decides_by_scope_role_and_tenant() {
    let folder = folder();
    let example = start(folder.path());
    let (id, key) = example.issue(&broker("mailer"));
    let me = example.get("/v1/me", &key);
    assert_eq!(
        (me.status, me.json()["id"].as_str()),
        (200, Some(id.as_str()))
    );
    assert_eq!(
        example
            .request("POST", "/v1/emails", &[("X-API-Key", &key)], None)
            .status,
        202
    );
    let refused = example.request(
        "GET",
        "/v1/analytics",
        &[("Authorization", &format!("Bearer {key}"))],
        None,
    );
    assert_eq!(refused.status, 403);

    let (_, agent) =
        example.issue(&json!({"name": "agent", "owner": "acme", "tenant": "t1", "role": "agent"}));
    assert_eq!(example.get("/v1/listings/t1", &agent).status, 200);
    assert_eq!(example.get("/v1/listings/t2", &agent).status, 403);
    assert_eq!(example.get("/v1/listings/t2", example.admin()).status, 200);
    assert_eq!(
        example.post("/admin/keys", &agent, &broker("x")).status,
        403
    );
    assert_eq!(example.request("GET", "/healthz", &[], None).status, 200);
}

#[test]
fn a_publishable_key_reads_listings_and_nothing_else() {
    let folder = folder();
    let example = start(folder.path());
    let shop = json!({
        "name": "shop window", "owner": "acme", "tenant": "t1", "role": "storefront", "kind": "publishable"
    });
    let (id, key) = example.issue(&shop);
    assert!(key.starts_with("pm_pub_live_"));
    assert_eq!(example.get("/v1/listings/t1", &key).status, 200);
    assert_eq!(example.get("/v1/listings/t2", &key).status, 403);
    assert_eq!(example.get("/v1/analytics", &key).status, 403);
    assert_eq!(example.get("/admin/keys", &key).status, 403);
    let shown = example
        .get(&format!("/admin/keys/{id}"), example.admin())
        .json();
    assert_eq!(shown["kind"], "publishable");
    assert!(shown["hint"].as_str().unwrap().starts_with("pm_pub_live_…"));

    let mut wider = shop;
    wider["role"] = json!("agent");
    let refused = example.post("/admin/keys", example.admin(), &wider);
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (422, Some("not_publishable"))
    );
    assert_eq!(refused.json()["detail"], "`send_email` is not publishable");
}

#[test]
fn refuses_the_sixty_first_request_and_says_when_to_come_back() {
    let folder = folder();
    let example = start(folder.path());
    let (_, key) = example.issue(&json!({"name": "n", "owner": "acme", "scopes": ["send_email"]}));
    let mut denied = None;
    // The bucket refills one a second meanwhile, so a slow machine needs a few more.
    for count in 1..=200 {
        let answer = example.get("/v1/me", &key);
        assert!(
            answer.header("ratelimit").is_some() && answer.header("x-ratelimit-limit").is_some()
        );
        if answer.status != 200 {
            denied = Some((count, answer));
            break;
        }
    }
    let (count, denied) = denied.expect("a limit");
    assert!(count > 60, "refused at request {count}");
    assert_eq!(denied.status, 429);
    assert_eq!(denied.header("retry-after"), Some("1"));
    let wait = denied.json()["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{wait}");
}

#[test]
fn tells_the_holder_of_an_outgoing_secret_and_the_console_of_ages() {
    let folder = folder();
    let example = start(folder.path());
    let (id, old) = example.issue(&broker("mailer"));
    assert_eq!(example.get("/v1/me", &old).header("sunset"), None);
    let path = format!("/admin/keys/{id}");
    let shown = example.get(&path, example.admin()).json();
    assert!(shown["rotate_by"].as_str() > shown["rotated_at"].as_str());
    let rotated = example.post(
        &format!("{path}/rotate"),
        example.admin(),
        &json!({"grace_seconds": 3600}),
    );
    let new = rotated.json()["key"].as_str().unwrap().to_owned();
    for (status, path) in [(200, "/v1/me"), (404, "/v1/nothing")] {
        let told = example.get(path, &old);
        assert_eq!(told.status, status);
        assert!(told.header("deprecation").unwrap().starts_with('@'));
        assert!(told.header("sunset").unwrap().ends_with("gmt"));
    }
    let quiet = example.get("/v1/me", &new);
    assert_eq!(
        (quiet.header("deprecation"), quiet.header("sunset")),
        (None, None)
    );
}

#[test]
fn rotates_with_a_grace_and_revokes_in_every_process() {
    let folder = folder();
    let here = start(folder.path());
    let there = start_with(folder.path(), "there.audit.jsonl");
    assert!(
        there.admin.is_none(),
        "the second process printed an admin key"
    );
    let (id, old) = here.issue(&broker("mailer"));
    let rotated = here.post(
        &format!("/admin/keys/{id}/rotate"),
        here.admin(),
        &json!({"grace_seconds": 3600}),
    );
    let new = rotated.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    for process in [&here, &there] {
        assert_eq!(
            (
                process.get("/v1/me", &old).status,
                process.get("/v1/me", &new).status
            ),
            (200, 200)
        );
    }
    let revoked = here.post(
        &format!("/admin/keys/{id}/revoke"),
        here.admin(),
        &json!({"reason": "over"}),
    );
    assert_eq!(
        (revoked.status, revoked.json()["audited"].as_bool()),
        (200, Some(true))
    );
    for process in [&here, &there] {
        assert_eq!(
            (
                process.get("/v1/me", &old).status,
                process.get("/v1/me", &new).status
            ),
            (401, 401)
        );
    }
}

#[test]
fn revokes_all_keys_of_an_owner_a_tenant_or_a_role() {
    let folder = folder();
    let example = start(folder.path());
    let many = |body: Value| example.post("/admin/revocations", example.admin(), &body);
    let (_, mailer) = example.issue(&broker("mailer"));
    let (_, other) = example.issue(&broker("other"));
    let (_, agent) =
        example.issue(&json!({"name": "n", "owner": "eve", "tenant": "t2", "role": "agent"}));
    let done = many(json!({"owner": "acme", "tenant": "t1", "reason": "taken over"}));
    let wanted = json!({"complete": true, "revoked": 2, "already_revoked": 0, "failed": [], "unaudited": []});
    assert_eq!((done.status, done.json()), (200, wanted));
    for (key, status) in [(&mailer, 401), (&other, 401), (&agent, 200)] {
        assert_eq!(example.get("/v1/me", key).status, status);
    }
    assert_eq!(
        example
            .post("/admin/revocations", &agent, &json!({}))
            .status,
        403
    );
    let again = many(json!({"owner": "acme", "reason": "taken over"})).json();
    assert_eq!(
        (&again["revoked"], &again["already_revoked"]),
        (&json!(0), &json!(2))
    );
    for body in [
        json!({"reason": "nobody named"}),
        json!({"role": "agent"}),
        json!({"role": "agent", "reason": ""}),
        json!({"role": "agent", "reason": "x", "everything": true}),
        json!({"tenant": "*", "reason": "x"}),
    ] {
        assert_eq!(many(body.clone()).status, 422, "{body}");
    }
    assert_eq!(example.get("/v1/me", &agent).status, 200);

    // The acting key is the one meant.
    let done = many(json!({"role": "admin", "reason": "laptop stolen"})).json();
    assert_eq!(
        (&done["complete"], &done["revoked"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(example.get("/v1/me", example.admin()).status, 401);
}

#[test]
fn keeps_keys_and_revocations_over_a_restart_and_loses_no_event() {
    let folder = folder();
    let first = start(folder.path());
    let admin = first.admin().to_owned();
    let (kept, key) = first.issue(&broker("kept"));
    let (dead, lost) = first.issue(&broker("dead"));
    assert_eq!(
        first
            .post(
                &format!("/admin/keys/{dead}/revoke"),
                &admin,
                &json!({"reason": "over"})
            )
            .status,
        200
    );
    for _ in 0..20 {
        assert_eq!(first.get("/v1/me", &key).status, 200);
    }
    first.terminate();

    let trail = std::fs::read_to_string(folder.path().join("keyward.audit.jsonl")).unwrap();
    let events: Vec<Value> = trail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let completed = events
        .iter()
        .filter(|event| event["kind"] == "request_completed" && event["key_id"] == kept.as_str());
    assert_eq!(completed.count(), 20);

    let second = start(folder.path());
    assert!(second.admin.is_none());
    assert_eq!(
        (
            second.get("/v1/me", &key).status,
            second.get("/v1/me", &lost).status
        ),
        (200, 401)
    );
    let record = second.get(&format!("/admin/keys/{kept}"), &admin).json();
    assert!(
        record["last_used_at"].is_string(),
        "usage was lost: {record}"
    );
    let sequences: Vec<_> = events
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn writes_no_piece_of_a_secret_anywhere() {
    let folder = folder();
    let example = start(folder.path());
    let admin = example.admin().to_owned();
    let (id, key) = example.issue(&broker("mailer"));
    let mut secrets = vec![admin.clone(), key.clone()];
    assert_eq!(example.get("/v1/me", &key).status, 200);
    let rotated = example.post(
        &format!("/admin/keys/{id}/rotate"),
        &admin,
        &json!({"until_first_use": true}),
    );
    secrets.push(rotated.json()["key"].as_str().unwrap().to_owned());
    let wrong = format!("{}x{}", &key[..30], &key[31..]);
    for presented in [secrets[2].as_str(), wrong.as_str(), "pm_live_short"] {
        example.get("/v1/me", presented);
    }
    example.request("GET", &format!("/v1/me?api_key={key}"), &[], None);
    example.request(
        "GET",
        "/v1/me",
        &[
            ("Authorization", &format!("Bearer {key}")),
            ("X-API-Key", &admin),
        ],
        None,
    );
    example.request(
        "GET",
        "/v1/me",
        &[("Authorization", &format!("Basic {key}"))],
        None,
    );
    let log = Arc::clone(&example.log);
    example.terminate();

    let mut written = log.lock().unwrap().clone();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        written.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(written.len() > 10_000, "there is hardly anything to search");
    for secret in &secrets {
        // 8 characters of prefix and environment and 12 of id are public.
        let private = &secret.as_bytes()[20..];
        for piece in private.windows(8) {
            let found = written.windows(8).any(|window| window == piece);
            assert!(
                !found,
                "a piece of a secret was written: {}",
                String::from_utf8_lossy(piece)
            );
        }
    }
}

#[test]
fn refuses_fields_that_only_the_server_sets_and_unreadable_bodies() {
    let folder = folder();
    let example = start(folder.path());
    for body in [
        json!({"name": "n", "owner": "o", "role": "agent", "created_by": "user:root"}),
        json!({"name": "n", "owner": "o"}),
        json!({"name": "", "owner": "o", "role": "agent"}),
        json!({"name": "n", "owner": "o", "role": "nobody"}),
        json!({"name": "n", "owner": "o", "scopes": ["*"]}),
        json!({"name": "n", "owner": "o", "role": "agent", "allowed_networks": ["10.0.0.0/33"]}),
        json!({"name": "n", "owner": "o", "role": "agent", "expires_in_seconds": 0}),
        json!({"name": "n", "owner": "o", "role": "agent", "tier": "none"}),
    ] {
        let answer = example.post("/admin/keys", example.admin(), &body);
        assert_eq!(answer.status, 422, "{body} gave {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn runs_the_transcript_of_the_readme() {
    let folder = folder();
    let example = start(folder.path());
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let after = readme.split_once("<!-- transcript").unwrap().1;
    let script = after
        .split_once("```sh\n")
        .unwrap()
        .1
        .split_once("```")
        .unwrap()
        .0;
    let script = script.replace("127.0.0.1:8080", &example.address);
    let output = Command::new("bash")
        .current_dir(folder.path())
        .env("ADMIN", example.admin())
        .args(["-e", "-c", &script])
        .output()
        .expect("bash, and curl: apt-get install curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let codes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.get(line.len().checked_sub(3)?..))
        .filter(|end| end.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    assert_eq!(
        codes,
        ["401", "401", "202", "403", "200", "200", "401", "401"],
        "{text}"
    );
    assert!(
        text.contains("429") && text.to_lowercase().contains("retry-after: 1"),
        "{text}"
    );
}

#[test]
fn reads_objects_only_and_shows_until_when_an_old_secret_works() {
    let folder = folder();
    let example = start(folder.path());
    let (id, key) = example.issue(&broker("mailer"));
    let rotate = format!("/admin/keys/{id}/rotate");
    let list = example.post(&rotate, example.admin(), &json!([]));
    assert_eq!(list.status, 400, "{}", list.body);
    assert_eq!(example.get("/v1/me", &key).status, 200);
    let rotated = example.post(&rotate, example.admin(), &json!({"grace_seconds": 60}));
    assert!(rotated.json()["previous_secret_ends_at"].is_string());
    let empty = example.request("POST", &rotate, &[("X-API-Key", example.admin())], None);
    assert_eq!(empty.status, 200, "without a body it rotates at once");
    assert!(empty.json()["previous_secret_ends_at"].is_null());
    let query = example.get("/admin/keys?limit=many", example.admin());
    let path = example.get("/admin/keys/%ff%fe", example.admin());
    assert_eq!((query.status, path.status), (422, 404));
    for answer in [list, query, path] {
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[test]
fn makes_another_admin_key_when_none_is_left_and_logs_why_it_cannot_start() {
    let folder = folder();
    let first = start(folder.path());
    let admin = first.admin().to_owned();
    let id = first.get("/v1/me", &admin).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let revoked = first.post(
        &format!("/admin/keys/{id}/revoke"),
        &admin,
        &json!({"reason": "lost"}),
    );
    assert_eq!(revoked.status, 200);
    first.terminate();
    let second = start(folder.path());
    assert_eq!(second.get("/v1/me", &admin).status, 401);
    assert_eq!(second.get("/admin/keys", second.admin()).status, 200);

    let mut third = Command::new(binary("axum_service"))
        .current_dir(folder.path())
        .env("KEYWARD_ADDR", "127.0.0.1:0")
        .env("KEYWARD_AUDIT", "third.audit.jsonl")
        .env("KEYWARD_NEW_ADMIN", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = third.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    third.kill().unwrap();
    third.wait().unwrap();
    assert!(line.contains("shown this once: pm_live_"), "{line}");

    let output = Command::new(binary("axum_service"))
        .current_dir(folder.path())
        .env("KEYWARD_ADDR", &second.address)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        log.contains(&second.address) && log.contains("in use"),
        "{log}"
    );
    assert!(
        output.stdout.is_empty(),
        "a key was shown by a service that does not run"
    );
}
