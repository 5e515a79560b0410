//! Notices as `tracing` events: one line each, whatever a user called the key.
#![cfg(all(feature = "tracing", feature = "testing"))]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{request_with, rig, scopes};
use keyward::notice::{MemoryNoticeLog, TracingNotifier};
use keyward::service::{IssueKey, Notices};
use tracing_subscriber::util::SubscriberInitExt;

const DAY: Duration = Duration::from_secs(24 * 3600);

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

#[tokio::test]
async fn writes_one_escaped_line_a_notice_and_no_secret() {
    let rig = rig();
    let name = "x\nWARN keyward::notice: forged \u{202e}";
    let hostile = IssueKey::new("acme".parse().unwrap(), name, scopes(&["a"]));
    let key = rig.issue_as(hostile.with_lifetime(DAY * 40)).await;
    let _ = rig
        .issue_as(request_with(scopes(&["a"])).with_lifetime(DAY * 40))
        .await;
    rig.clock.advance(DAY * 35);
    let notices = Notices::builder(TracingNotifier::new(), MemoryNoticeLog::new());
    let output = Output::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let guard = subscriber.set_default();
    let sent = rig
        .service
        .send_notices(&notices.build().unwrap())
        .await
        .unwrap()
        .sent;
    drop(guard);
    assert_eq!(sent, 2);
    let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.lines()
            .all(|line| line.contains("WARN keyward::notice: notice key_id="))
    );
    assert!(
        text.contains(r#"name="x\nWARN"#) && !text.contains('\u{202e}'),
        "{text}"
    );
    assert!(text.contains(r#"subject="expiring""#) && text.contains(r#"owner="acme""#));
    assert!(!text.contains(&key.key().expose()[20..40]));
}
