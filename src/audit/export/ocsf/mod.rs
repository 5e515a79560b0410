//! Events in the vocabulary of the Open Cybersecurity Schema Framework.

mod about;
mod class;
mod code;
mod people;
mod product;
mod record;
mod scene;
mod verdict;

use std::io::{self, Write};

use self::record::Record;
use crate::audit::event::write_json;
use crate::audit::{AuditError, AuditEvent};
use crate::time::Timestamp;

pub use self::product::Product;

/// The version of OCSF that events are written in (`metadata.version`).
pub const OCSF_VERSION: &str = "1.8.0";

/// Returns the event as one OCSF object on one line, without a line end, escaped like [`AuditEvent::to_line`].
///
/// Operations on keys and on the trail become 3004 Entity Management, verifications 3002 Authentication, requests 6003
/// API Activity and alerts 2004 Detection Finding, with the profile `security_control`. `docs/audit.md` says which
/// field goes where; what OCSF has no field for stands under `unmapped`, so that nothing is lost.
///
/// # Errors
///
/// As [`AuditEvent::to_line`].
///
/// ```
/// use keyward::audit::export::{Product, to_ocsf};
/// use keyward::audit::{AuditEvent, AuditKind};
/// use keyward::time::Timestamp;
///
/// let event = AuditEvent::new(AuditKind::AuthenticationFailed, Timestamp::from_secs(1_700_000_000))
///     .with_reason("revoked")
///     .with_key_id("a1B2c3D4e5F6");
/// let object: serde_json::Value = serde_json::from_str(&to_ocsf(&event, &Product::new("billing-api"))?)?;
/// assert_eq!(object["class_name"], "Authentication");
/// assert_eq!(object["activity_name"], "Logon");
/// assert_eq!(object["status_code"], "revoked");
/// assert_eq!(object["user"]["credential_uid"], "a1B2c3D4e5F6");
/// assert_eq!(object["time"], 1_700_000_000_000_i64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_ocsf(event: &AuditEvent, product: &Product) -> Result<String, AuditError> {
    let mut line = Vec::with_capacity(1024);
    write_ocsf(event, product, &mut line)?;
    String::from_utf8(line).map_err(|error| AuditError::backend("ocsf", error))
}

fn write_ocsf(event: &AuditEvent, product: &Product, line: &mut Vec<u8>) -> Result<(), AuditError> {
    let record = Record::of(event, product);
    write_json(&record, line).map_err(|error| AuditError::backend("ocsf", error))
}

/// Milliseconds since 1970, rounded towards the past.
const fn millis(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1000)
}

/// Writes events as OCSF, one JSON object a line ([`to_ocsf`]).
///
/// ```
/// use keyward::audit::export::{OcsfLines, Product};
/// use keyward::audit::{AuditEvent, AuditKind};
/// use keyward::time::Timestamp;
///
/// let mut lines = OcsfLines::new(Vec::new(), Product::new("billing-api"));
/// for kind in [AuditKind::KeyCreated, AuditKind::KeyRevoked] {
///     lines.write(&AuditEvent::new(kind, Timestamp::EPOCH))?;
/// }
/// assert_eq!(String::from_utf8(lines.finish()?)?.lines().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "what is buffered is written by `finish`"]
pub struct OcsfLines<W> {
    writer: W,
    product: Product,
    /// Kept from event to event, so that not every line allocates.
    line: Vec<u8>,
}

impl<W: Write> OcsfLines<W> {
    /// Returns a writer of lines. Give it a buffered writer: it makes one call an event.
    pub const fn new(writer: W, product: Product) -> Self {
        Self {
            writer,
            product,
            line: Vec::new(),
        }
    }

    /// Writes one line.
    ///
    /// # Errors
    ///
    /// What the writer says. The line may be written in part.
    pub fn write(&mut self, event: &AuditEvent) -> io::Result<()> {
        self.line.clear();
        write_ocsf(event, &self.product, &mut self.line).map_err(io::Error::other)?;
        self.line.push(b'\n');
        self.writer.write_all(&self.line)
    }

    /// Flushes, and returns the writer.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.flush()?;
        Ok(self.writer)
    }
}
