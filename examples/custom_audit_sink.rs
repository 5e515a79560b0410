//! An audit sink of one's own, held to the same rules as those that ship.
//!
//! `cargo run --example custom_audit_sink` shows it at work;
//! `cargo test --example custom_audit_sink --features testing` runs the conformance suite over it.
//!
//! It appends one line an event to any writer: a pipe to a collector, a socket, a file.
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use keyward::access::Grant;
use keyward::async_trait;
use keyward::audit::{AuditError, AuditEvent, AuditSink};
use keyward::service::{Actor, IssueKey, KeyService};
use keyward::store::MemoryStore;

/// Writes events as JSON, one a line.
struct LineSink<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    writer: W,
    last: Option<u64>,
}

impl<W> LineSink<W> {
    const fn new(writer: W) -> Self {
        Self {
            state: Mutex::new(State { writer, last: None }),
        }
    }
}

impl<W> fmt::Debug for LineSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineSink").finish_non_exhaustive()
    }
}

#[async_trait]
impl<W: Write + Send + 'static> AuditSink for LineSink<W> {
    async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        // `to_line` escapes whatever could end a line early or reorder it on a screen.
        let mut lines = String::new();
        for event in events {
            lines.push_str(&event.to_line()?);
            lines.push('\n');
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let written = state
            .writer
            .write_all(lines.as_bytes())
            .and_then(|()| state.writer.flush());
        written.map_err(|error| AuditError::unavailable("lines", error))?;
        state.last = events
            .iter()
            .filter_map(AuditEvent::sequence)
            .max()
            .max(state.last);
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .writer
            .flush()
            .map_err(|error| AuditError::unavailable("lines", error))
    }

    async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        Ok(self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last)
    }
}

/// A writer that can be read: what the sink wrote in this process.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let lines = Shared::default();
    let sink = LineSink::new(lines.clone());
    let service = KeyService::builder(MemoryStore::new())
        .audit(sink)
        .build()?;
    let grant = Grant::try_scopes(["send_email".parse()?])?;
    let issued = service
        .issue(
            &Actor::user("ana")?,
            IssueKey::new("acme".parse()?, "mailer", grant),
        )
        .await?;
    let _ = service
        .revoke(&Actor::user("ana")?, &issued.record().id, "only an example")
        .await?;
    service.shutdown().await?;
    print!("{}", lines.text());
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Arc;

    use keyward::async_trait;
    use keyward::audit::{AuditEvent, AuditSink};
    use keyward::testing::audit_rules::SinkProbe;

    use super::{LineSink, Shared};

    pub(crate) struct Probe {
        sink: Arc<LineSink<Shared>>,
        lines: Shared,
    }

    #[async_trait]
    impl SinkProbe for Probe {
        fn sink(&self) -> Arc<dyn AuditSink> {
            Arc::<LineSink<Shared>>::clone(&self.sink)
        }

        async fn read(&self) -> Vec<AuditEvent> {
            self.lines
                .text()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }

        async fn text(&self) -> Option<String> {
            Some(self.lines.text())
        }
    }

    pub(crate) async fn fresh() -> Probe {
        let lines = Shared::default();
        Probe {
            sink: Arc::new(LineSink::new(lines.clone())),
            lines,
        }
    }

    keyward::audit_sink_conformance!(line_sink, super::fresh);
}
