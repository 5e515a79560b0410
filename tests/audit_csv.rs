//! Exported CSV, read back by Python's `csv` module.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use keyward::audit::export::{CsvRecords, csv_header, to_csv};
use keyward::audit::{ActorRef, AuditEvent, AuditKind, Outcome};
use keyward::time::Timestamp;
use serde_json::Value;

#[expect(dead_code, reason = "other tests use the rest")]
mod export_support;

use export_support::csv::{column, python, text_of};
use export_support::{bare, detail_texts, full, hostile, lines, texts};

fn written(events: &[AuditEvent]) -> Vec<u8> {
    let mut records = CsvRecords::new(Vec::new());
    for event in events {
        records.write(event).unwrap();
    }
    records.finish().unwrap()
}

fn hostile_events() -> Vec<AuditEvent> {
    let event = |text: &String| full(AuditKind::AuthenticationFailed, Outcome::Failure, text);
    hostile().iter().map(event).collect()
}

#[test]
fn python_reads_back_every_text_of_every_hostile_event() {
    let events = hostile_events();
    let rows = python(&written(&events));
    assert_eq!(rows.len(), events.len() + 1);
    for (row, event) in rows[1..].iter().zip(&events) {
        assert_eq!(row.len(), rows[0].len());
        for (name, text) in texts(event) {
            assert_eq!(text_of(&row[column(&name)]), text, "{name}");
        }
        let details: Value = serde_json::from_str(&row[column("details")]).unwrap();
        for (name, text) in detail_texts(event) {
            assert_eq!(details[name.as_str()], text.as_str());
        }
        assert_eq!(details["limit"], -60);
    }
}

/// What a spreadsheet computes: OWASP's list, the forms that look alike, and behind what it drops at the beginning.
#[test]
fn no_cell_begins_like_a_formula() {
    let mut events = hostile_events();
    events.push(AuditEvent::new(AuditKind::KeyCreated, Timestamp::MIN));
    for row in &python(&written(&events))[1..] {
        for cell in row {
            let seen = cell
                .trim_start()
                .trim_start_matches(['\u{200b}', '\u{feff}']);
            let formula = [
                '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫',
            ];
            assert!(!seen.starts_with(formula), "{cell:?}");
            assert!(!cell.starts_with(['\t', '\r', '\n']), "{cell:?}");
        }
    }
}

#[test]
fn one_event_is_one_record_on_one_line() {
    let events = hostile_events();
    let csv = String::from_utf8(written(&events)).unwrap();
    assert_eq!(lines(&csv, "\r\n").len(), events.len() + 1);
}

#[test]
fn every_column_holds_its_field() {
    let rows = python(&written(&[full(
        AuditKind::KeyRevoked,
        Outcome::Success,
        "plain",
    )]));
    let expected = [
        ("sequence", "9"),
        ("id", "018bcfe5-687b-7707-8707-070707070707"),
        ("time", "2023-11-14T22:13:20.123456Z"),
        ("kind", "key_revoked"),
        ("outcome", "success"),
        ("reason", "plain"),
        ("actor", "user:plain"),
        ("key_id", "plain"),
        ("owner", "plain"),
        ("tenant", "plain"),
        ("role", "plain"),
        ("client_ip", "192.0.2.1"),
        ("peer_ip", "2001:db8::1"),
        ("user_agent", "plain"),
        ("request_id", "plain"),
        ("method", "plain"),
        ("route", "plain"),
        ("status", "403"),
        ("duration_us", "1234567"),
        (
            "details",
            r#"{"justification":"plain","limit":-60,"operation":"plain","plain":"plain","reason":"plain"}"#,
        ),
        ("details_omitted", ""),
    ];
    let found: Vec<_> = rows[0]
        .iter()
        .zip(&rows[1])
        .map(|(name, cell)| (name.as_str(), cell.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn columns_are_the_fields_of_the_json_form_in_their_order() {
    let event = full(AuditKind::KeyRevoked, Outcome::Success, "plain");
    let omitting = (0..17_i64).fold(event, |event, n| event.with_detail(format!("d{n}"), n));
    let line = omitting.to_line().unwrap();
    let place = |name: &str| line.find(&format!("\"{name}\":")).unwrap();
    let header = csv_header();
    let places: Vec<_> = header.split(',').map(place).collect();
    assert!(places.is_sorted(), "{places:?}");
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        json.as_object().unwrap().len(),
        places.len() + 1,
        "all but `schema`"
    );
    let rows = python(&written(&[omitting]));
    assert_eq!(
        rows[1][column("details_omitted")],
        json["details_omitted"].to_string()
    );
}

#[test]
fn a_field_that_is_not_set_is_an_empty_cell() {
    let record = to_csv(&bare(AuditKind::KeyCreated)).unwrap();
    let expected = ",,\"2023-11-14T22:13:20.123456Z\",\"key_created\",\"success\",,,,,,,,,,,,,,,,";
    assert_eq!(record, expected);
    let empty = to_csv(&bare(AuditKind::KeyCreated).with_owner("")).unwrap();
    assert_ne!(empty, record, "an empty text is a text");
}

#[test]
fn no_events_are_a_header() {
    assert_eq!(written(&[]), format!("{}\r\n", csv_header()).as_bytes());
}

#[test]
fn an_actor_cannot_hide_a_formula_before_its_colon() {
    let record =
        to_csv(&bare(AuditKind::KeyCreated).with_actor(ActorRef::new("=1+1", "x"))).unwrap();
    assert!(record.contains("\"_1_1:x\""), "{record}");
    // A line that was not written by this crate may say anything.
    let line = r#"{"schema":1,"time":"2023-11-14T22:13:20Z","kind":"key_created","outcome":"success","actor":"=1+1"}"#;
    let record = to_csv(&serde_json::from_str(line).unwrap()).unwrap();
    assert!(record.contains("\"'=1+1\""), "{record}");
}
