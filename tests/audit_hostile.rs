//! Hostile texts in every field, through every form in which an event leaves the process.
#![cfg(all(
    feature = "postgres",
    feature = "sqlite",
    feature = "testing",
    feature = "tracing"
))]
#![allow(
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use keyward::audit::export::{CsvRecords, OcsfLines, Product};
use keyward::audit::{
    ActorRef, AuditEvent, AuditKind, AuditSink, EventId, JsonLinesSink, Outcome, PostgresAuditSink,
    SqliteAuditSink, TracingSink,
};
use keyward::store::sqlx::{self, PgPool, SqlitePool};
use keyward::time::Timestamp;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tracing_subscriber::util::SubscriberInitExt;

mod export_support;
mod servers;

use export_support::csv::{column, python, text_of};
use export_support::{MICROS, bare, detail_texts, full, hostile, lines, ocsf, texts};
use servers::Postgres;

/// Made once: the long ones are long.
static SHORT: LazyLock<Vec<String>> = LazyLock::new(|| {
    hostile()
        .into_iter()
        .filter(|text| text.len() < 64)
        .collect()
});

/// Pieces of hostile texts among any characters.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => select(&SHORT[..]),
        2 => any::<char>().prop_map(String::from),
        1 => select(vec!["\r", "\n", "\u{2028}", "\u{85}", "\"", "\\", ",", "=", "'", "\0"]).prop_map(str::to_owned),
        1 => proptest::collection::vec(any::<char>(), 200..300).prop_map(String::from_iter),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn actor() -> impl Strategy<Value = ActorRef> {
    let kind = prop_oneof![
        Just("user".to_owned()),
        Just("system".to_owned()),
        Just("key".to_owned()),
        text()
    ];
    (kind, text()).prop_map(|(kind, id)| ActorRef::new(&kind, &id))
}

fn event() -> impl Strategy<Value = AuditEvent> {
    let some = || proptest::option::of(text());
    let names = (some(), some(), some(), some(), some());
    let request = (some(), some(), some(), some());
    let details = proptest::collection::vec(
        (
            prop_oneof![
                Just("reason".to_owned()),
                Just("justification".to_owned()),
                text()
            ],
            text(),
        ),
        0..4,
    );
    let outcome = select(vec![Outcome::Success, Outcome::Failure]);
    (
        select(AuditKind::ALL),
        outcome,
        proptest::option::of(actor()),
        any::<bool>(),
        names,
        request,
        details,
    )
        .prop_map(
            |(
                kind,
                outcome,
                actor,
                itself,
                (reason, key_id, owner, tenant, role),
                (agent, id, method, route),
                details,
            )| {
                let mut event = bare(kind).with_outcome(outcome);
                if let Some(text) = reason {
                    event = event.with_reason(text);
                }
                if let Some(text) = &key_id {
                    event = event.with_key_id(text.as_str());
                }
                if let Some(text) = owner {
                    event = event.with_owner(text);
                }
                if let Some(text) = tenant {
                    event = event.with_tenant(text);
                }
                if let Some(text) = role {
                    event = event.with_role(text);
                }
                if let Some(text) = agent {
                    event = event.with_user_agent(&text);
                }
                if let Some(text) = id {
                    event = event.with_request_id(&text);
                }
                if let Some(text) = method {
                    event = event.with_method(&text);
                }
                if let Some(text) = route {
                    event = event.with_route(text);
                }
                for (name, text) in details {
                    event = event.with_detail(name, text);
                }
                match (actor, event.key_id().map(ActorRef::key)) {
                    (Some(_), Some(key)) if itself => event.with_actor(key),
                    (Some(actor), _) => event.with_actor(actor),
                    (None, _) => event,
                }
            },
        )
}

/// Every hostile text in every field of an event of some kind, and events whose fields differ from each other.
fn events() -> Vec<AuditEvent> {
    let kinds = AuditKind::ALL.iter().cycle();
    let mut events: Vec<_> = hostile()
        .iter()
        .zip(kinds)
        .map(|(text, kind)| full(*kind, Outcome::Failure, text))
        .collect();
    let (any, mut runner) = (event(), TestRunner::deterministic());
    events.extend((0..200).map(|_| any.new_tree(&mut runner).unwrap().current()));
    let numbered = |(number, event): (u64, AuditEvent)| {
        let mut random = [0; EventId::RANDOM_BYTES];
        random[2..].copy_from_slice(&number.to_be_bytes());
        event
            .with_id(EventId::new(Timestamp::from_micros(MICROS), &random))
            .with_sequence(number)
    };
    (1..).zip(events).map(numbered).collect()
}

fn check_lines(events: &[AuditEvent], written: &str) {
    let lines = lines(written, "\n");
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(events) {
        assert_eq!(serde_json::from_str::<AuditEvent>(line).unwrap(), *event);
    }
}

fn check_ocsf(events: &[AuditEvent]) {
    let mut out = OcsfLines::new(Vec::new(), Product::new("x"));
    for event in events {
        out.write(event).unwrap();
    }
    let written = String::from_utf8(out.finish().unwrap()).unwrap();
    let lines = lines(&written, "\n");
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(events) {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(ocsf::texts(&object), texts(event), "{object:#}");
        assert_eq!(
            ocsf::detail_texts(&object),
            detail_texts(event),
            "{object:#}"
        );
    }
}

fn check_csv(events: &[AuditEvent]) {
    let mut out = CsvRecords::new(Vec::new());
    for event in events {
        out.write(event).unwrap();
    }
    let written = out.finish().unwrap();
    let rows = python(&written);
    let written = String::from_utf8(written).unwrap();
    assert_eq!(lines(&written, "\r\n").len(), events.len() + 1);
    assert_eq!(rows.len(), events.len() + 1);
    for (row, event) in rows[1..].iter().zip(events) {
        for (name, text) in texts(event) {
            assert_eq!(text_of(&row[column(&name)]), text, "{name}");
        }
        let details = &row[column("details")];
        assert_eq!(details.is_empty(), event.details().next().is_none());
        for (name, text) in detail_texts(event) {
            let details: Value = serde_json::from_str(details).unwrap();
            assert_eq!(details[name.as_str()], text.as_str());
        }
        let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
        assert!(
            row.iter()
                .all(|cell| !cell.trim_start().starts_with(formula)),
            "{row:?}"
        );
    }
}

/// What a subscriber writes.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the subscriber that writes JSON, and the one that writes text, make of the events.
fn traced(events: &[AuditEvent]) -> [String; 2] {
    let (json, text) = (Output::default(), Output::default());
    let to_json = json.clone();
    let to_text = text.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .without_time()
        .with_writer(move || to_json.clone());
    {
        let _default = subscriber.finish().set_default();
        trace(events);
    }
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || to_text.clone());
    {
        let _default = subscriber.finish().set_default();
        trace(events);
    }
    [json.text(), text.text()]
}

fn check_traced(events: &[AuditEvent]) {
    let [json, text] = traced(events);
    assert_eq!(lines(&text, "\n").len(), events.len());
    let lines = lines(&json, "\n");
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(events) {
        let fields = serde_json::from_str::<Value>(line).unwrap()["fields"].take();
        for (name, text) in texts(event) {
            assert_eq!(
                unescaped(fields[name.as_str()].as_str().unwrap()),
                text,
                "{name}"
            );
        }
        for (name, text) in detail_texts(event) {
            let details: Value = serde_json::from_str(fields["details"].as_str().unwrap()).unwrap();
            assert_eq!(details[name.as_str()], text.as_str());
        }
    }
}

fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap()
}

/// A row: actor, key id, owner, tenant, and the event's line.
type Row = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
);

fn check_rows(events: &[AuditEvent], rows: &[Row]) {
    assert_eq!(rows.len(), events.len());
    for ((actor, key_id, owner, tenant, line), event) in rows.iter().zip(events) {
        check_lines(std::slice::from_ref(event), &format!("{line}\n"));
        let columns = [
            (actor, event.actor().map(ActorRef::as_str)),
            (key_id, event.key_id()),
            (owner, event.owner()),
            (tenant, event.tenant()),
        ];
        for (column, text) in columns {
            assert!(
                !column
                    .as_deref()
                    .is_some_and(|it| it.contains(export_support::leaves_the_line))
            );
            assert_eq!(column.as_deref().map(unescaped).as_deref(), text);
        }
    }
}

#[tokio::test]
async fn in_a_file_of_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let events = events();
    JsonLinesSink::open(&path)
        .await
        .unwrap()
        .write(&events)
        .await
        .unwrap();
    check_lines(&events, &std::fs::read_to_string(&path).unwrap());
}

#[test]
fn in_lines_of_ocsf() {
    check_ocsf(&events());
}

#[test]
fn in_records_of_csv() {
    check_csv(&events());
}

#[test]
fn in_events_of_tracing() {
    check_traced(&events());
}

#[tokio::test]
async fn in_rows_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let events = events();
    SqliteAuditSink::open(&path, "test")
        .await
        .unwrap()
        .write(&events)
        .await
        .unwrap();
    let pool = SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let rows = "SELECT actor, key_id, owner, tenant, event FROM keyward_audit ORDER BY position";
    let rows: Vec<Row> = sqlx::query_as(rows).fetch_all(&pool).await.unwrap();
    check_rows(&events, &rows);
}

#[tokio::test]
async fn in_rows_of_postgres() {
    let pool = PgPool::connect(&Postgres::shared().database())
        .await
        .unwrap();
    let sink = PostgresAuditSink::from_pool(pool.clone(), "test").unwrap();
    sink.migrate().await.unwrap();
    let events = events();
    sink.write(&events).await.unwrap();
    let rows = "SELECT actor, key_id, owner, tenant, event FROM keyward.audit ORDER BY position";
    let rows: Vec<Row> = sqlx::query_as(rows).fetch_all(&pool).await.unwrap();
    check_rows(&events, &rows);
}

proptest! {
    #[test]
    fn any_event_in_the_forms_of_this_process(event in event()) {
        let events = [event];
        check_lines(&events, &format!("{}\n", events[0].to_line().unwrap()));
        check_ocsf(&events);
        check_traced(&events);
    }
}

proptest! {
    // Each case starts a Python.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_events_in_a_csv_file(events in proptest::collection::vec(event(), 1..40)) {
        check_csv(&events);
    }
}

fn trace(events: &[AuditEvent]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let written = runtime.unwrap().block_on(TracingSink::new().write(events));
    written.unwrap();
}
