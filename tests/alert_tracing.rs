//! Alerts as `tracing` events.
#![cfg(feature = "tracing")]
#![allow(
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod alert_support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use alert_support::{HOUR, event, shown};
use keyward::alert::{AlertKind, AlertRule, Alerts, Finding, Severity, TARGET, TracingAlertSink};
use keyward::audit::{AuditEvent, AuditKind};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// What a subscriber wrote.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Finds something of that urgency in every event.
#[derive(Debug)]
struct Urgent(Severity);

impl AlertRule for Urgent {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        let finding = Finding::of_key(AlertKind::Custom("urgent"), event).unwrap();
        findings.push(finding.with_severity(self.0));
    }
}

/// What the subscriber writes of one alert about that key.
async fn logged(severity: Severity, key: &str) -> String {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(output.clone());
    let _guard = subscriber.finish().set_default();
    let builder = Alerts::builder().rule(Urgent(severity));
    let alerts = builder
        .sink("log", TracingAlertSink::new())
        .start()
        .unwrap();
    shown(&alerts, &event(AuditKind::KeyRevoked, key, HOUR));
    alerts.flush().await.unwrap();
    let bytes = output.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_level_says_how_urgent_it_is() {
    let levels = [
        (Severity::Notice, "INFO"),
        (Severity::Warning, "WARN"),
        (Severity::Critical, "ERROR"),
    ];
    for (severity, level) in levels {
        let line: Value = serde_json::from_str(&logged(severity, "a").await).unwrap();
        assert_eq!(line["level"], level);
        assert_eq!(line["target"], TARGET);
    }
}

#[tokio::test]
async fn the_alert_stays_on_its_line_whatever_the_key_is_called() {
    let text = logged(Severity::Warning, "a\nb\u{2028}\u{202e}c").await;
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains(['\u{2028}', '\u{202e}']));
    let line: Value = serde_json::from_str(&text).unwrap();
    let alert: Value = serde_json::from_str(line["fields"]["alert"].as_str().unwrap()).unwrap();
    assert_eq!(alert["key_id"], "a\nb\u{2028}\u{202e}c");
    assert_eq!(line["fields"]["kind"], "urgent");
}
