//! Events as comma-separated values (RFC 4180).

mod cell;

use std::io::{self, Write};

use self::cell::{push_json, push_number, push_text};
use super::details::Details;
use crate::audit::event::write_json;
use crate::audit::{ActorRef, AuditError, AuditEvent, Outcome};

/// The columns, in order: the fields of the JSON form. Later versions add columns at the end.
const COLUMNS: [&str; 21] = [
    "sequence",
    "id",
    "time",
    "kind",
    "outcome",
    "reason",
    "actor",
    "key_id",
    "owner",
    "tenant",
    "role",
    "client_ip",
    "peer_ip",
    "user_agent",
    "request_id",
    "method",
    "route",
    "status",
    "duration_us",
    "details",
    "details_omitted",
];

/// What RFC 4180 ends records with.
const RECORD_END: &[u8] = b"\r\n";

/// A value of a record.
enum Cell<'a> {
    Number(u64),
    Text(&'a str),
    Owned(String),
    Json(String),
}

/// Returns the header: the names of the columns that [`to_csv`] fills, without a line end.
///
/// ```
/// use keyward::audit::export::csv_header;
///
/// assert!(csv_header().starts_with("sequence,id,time,kind,outcome,reason,actor,key_id,"));
/// ```
#[must_use]
pub fn csv_header() -> String {
    COLUMNS.join(",")
}

/// Returns the event as one CSV record on one line, without a line end.
///
/// * What is not set is an empty cell. Texts are in double quotes; a double quote within is doubled.
/// * Texts are escaped as between the quotes of a JSON string, like those in the other forms: a record has no line end
///   within. `details` holds the JSON object.
/// * A text that a spreadsheet could take for a formula begins with an apostrophe: one that starts with `=`, `+`, `-`,
///   `@`, their full-width or small forms, also behind blanks, with a tab or with a line end; and, so that the
///   apostrophe can always be taken away again, one that starts with an apostrophe itself.
///
/// # Errors
///
/// As [`AuditEvent::to_line`].
///
/// ```
/// use keyward::audit::export::to_csv;
/// use keyward::audit::{AuditEvent, AuditKind};
/// use keyward::time::Timestamp;
///
/// let event = AuditEvent::new(AuditKind::AuthenticationFailed, Timestamp::from_secs(1_700_000_000))
///     .with_user_agent("=cmd|' /C calc'!A0\r\n");
/// let record = to_csv(&event)?;
/// assert!(record.starts_with(r#",,"2023-11-14T22:13:20.000000Z","authentication_failed","failure",,"#));
/// assert!(record.contains(r#""'=cmd|' /C calc'!A0\r\n""#));
/// # Ok::<(), keyward::audit::AuditError>(())
/// ```
pub fn to_csv(event: &AuditEvent) -> Result<String, AuditError> {
    let mut record = String::with_capacity(512);
    for (nth, cell) in cells(event)?.into_iter().enumerate() {
        if nth > 0 {
            record.push(',');
        }
        match cell {
            None => {}
            Some(Cell::Number(number)) => push_number(&mut record, number),
            Some(Cell::Text(text)) => push_text(&mut record, text),
            Some(Cell::Owned(text)) => push_text(&mut record, &text),
            Some(Cell::Json(json)) => push_json(&mut record, &json),
        }
    }
    Ok(record)
}

/// The values of the [`COLUMNS`], in their order.
fn cells(event: &AuditEvent) -> Result<[Option<Cell<'_>>; COLUMNS.len()], AuditError> {
    let owned = |text: String| Some(Cell::Owned(text));
    let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).ok();
    Ok([
        event.sequence().map(Cell::Number),
        event.id().and_then(|id| owned(id.to_string())),
        owned(event.time().to_string()),
        Some(Cell::Text(event.kind().code())),
        Some(Cell::Text(match event.outcome() {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
        })),
        event.reason().map(Cell::Text),
        event.actor().map(ActorRef::as_str).map(Cell::Text),
        event.key_id().map(Cell::Text),
        event.owner().map(Cell::Text),
        event.tenant().map(Cell::Text),
        event.role().map(Cell::Text),
        event.client_ip().and_then(|ip| owned(ip.to_string())),
        event.peer_ip().and_then(|ip| owned(ip.to_string())),
        event.user_agent().map(Cell::Text),
        event.request_id().map(Cell::Text),
        event.method().map(Cell::Text),
        event.route().map(Cell::Text),
        event.status().map(|status| Cell::Number(status.into())),
        event.duration().and_then(micros).map(Cell::Number),
        details(event)?.map(Cell::Json),
        omitted(event).map(Cell::Number),
    ])
}

fn details(event: &AuditEvent) -> Result<Option<String>, AuditError> {
    let details = Details::all(event);
    if details.is_empty() {
        return Ok(None);
    }
    let mut json = Vec::new();
    write_json(&details, &mut json).map_err(|error| AuditError::backend("csv", error))?;
    let json = String::from_utf8(json).map_err(|error| AuditError::backend("csv", error))?;
    Ok(Some(json))
}

fn omitted(event: &AuditEvent) -> Option<u64> {
    let omitted = u64::from(event.details_omitted());
    (omitted > 0).then_some(omitted)
}

/// Writes events as CSV: a header, and one record an event ([`to_csv`]), each ended by CR LF.
///
/// ```
/// use keyward::audit::export::CsvRecords;
/// use keyward::audit::{AuditEvent, AuditKind};
/// use keyward::time::Timestamp;
///
/// let mut records = CsvRecords::new(Vec::new());
/// records.write(&AuditEvent::new(AuditKind::KeyCreated, Timestamp::EPOCH))?;
/// assert_eq!(String::from_utf8(records.finish()?)?.lines().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the header and what is buffered are written by `finish`"]
pub struct CsvRecords<W> {
    writer: W,
    has_header: bool,
}

impl<W: Write> CsvRecords<W> {
    /// Returns a writer of records. Give it a buffered writer: it makes one call an event.
    pub const fn new(writer: W) -> Self {
        Self {
            writer,
            has_header: false,
        }
    }

    /// Writes one record, and before the first one the header.
    ///
    /// # Errors
    ///
    /// What the writer says. The record may be written in part.
    pub fn write(&mut self, event: &AuditEvent) -> io::Result<()> {
        let record = to_csv(event).map_err(io::Error::other)?;
        self.write_header()?;
        self.write_record(record)
    }

    /// Writes the header if there was no event, flushes, and returns the writer.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_header()?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn write_header(&mut self) -> io::Result<()> {
        if !self.has_header {
            self.write_record(csv_header())?;
            self.has_header = true;
        }
        Ok(())
    }

    fn write_record(&mut self, record: String) -> io::Result<()> {
        let mut record = record.into_bytes();
        record.extend_from_slice(RECORD_END);
        self.writer.write_all(&record)
    }
}
