//! Events in the forms that other systems read: OCSF, which security lakes ingest, and CSV, which people open.
//!
//! [`to_ocsf`] and [`to_csv`] make one line of one event; [`OcsfLines`] and [`CsvRecords`] write events to any
//! [`io::Write`], and [`export_trail`] hands them the events of a trail of JSON Lines files. All of it is synchronous
//! and holds one event at a time. Which field goes where is described in `docs/audit.md`.
//!
//! An export is a copy: it has no chain. Verify the trail first ([`verify_chain`](super::verify_chain)), and record the
//! export ([`AuditKind::AuditExported`](super::AuditKind::AuditExported)).
//!
//! ```
//! use keyward::audit::export::{OcsfLines, Product, export_trail};
//! use keyward::audit::{AuditEvent, AuditKind, AuditSink, JsonLinesSink, trail_files};
//! use keyward::time::Timestamp;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("audit.jsonl");
//! let sink = JsonLinesSink::open(&path).await?;
//! sink.write(&[AuditEvent::new(AuditKind::KeyRevoked, Timestamp::EPOCH).with_key_id("a1B2c3D4e5F6")]).await?;
//!
//! let mut lines = OcsfLines::new(Vec::new(), Product::new("billing-api"));
//! let exported = export_trail(trail_files(&path)?, |event| lines.write(event))?;
//! assert_eq!(exported.events, 1);
//! assert!(String::from_utf8(lines.finish()?)?.contains(r#""class_uid":3004"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`io::Write`]: std::io::Write

mod csv;
mod details;
mod error;
mod ocsf;
mod trail;

pub use self::csv::{CsvRecords, csv_header, to_csv};
pub use self::error::ExportError;
pub use self::ocsf::{OCSF_VERSION, OcsfLines, Product, to_ocsf};
pub use self::trail::{Exported, TrailEvents, export_trail, read_trail};
