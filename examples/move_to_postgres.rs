//! Moves keys from SQLite to PostgreSQL: nobody gets a new key, and nothing has to be hashed again.
//!
//! ```sh
//! cargo run --release --example move_to_postgres --features postgres,sqlite -- \
//!     keyward.sqlite 'postgres://app@db.internal/app'
//! ```
//!
//! Run it while the old service still serves, stop the old service, and run it again with `--file-wins`, which brings over what
//! changed in between: give it only as long as nothing else has written to PostgreSQL. A revocation is brought over in any
//! case, and never taken back. What it cannot decide it names, and ends with an error: a key that differs on the two sides,
//! and a key that PostgreSQL has and the file has not, because it was deleted there (or made here). The file is only read.
//! The audit trail stays where it is.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal says what it did"
)]

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;

use keyward::key::{KeyId, KeyRecord};
use keyward::store::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use keyward::store::{InsertKey, KeyStore, ListKeys, PostgresStore, SqliteStore, StoreError};

/// What became of the records.
#[derive(Debug, Default)]
struct Report {
    copied: u64,
    updated: u64,
    revoked: u64,
    same: u64,
    /// Different, and nobody said which is right.
    differ: Vec<KeyId>,
    /// In PostgreSQL, and not in the file.
    only_there: Vec<KeyId>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--file-wins");
    let file_wins = arguments.len() < before;
    let [from, to] = arguments.as_slice() else {
        return Err("usage: move_to_postgres [--file-wins] FILE postgres://…".into());
    };
    if !std::path::Path::new(from).is_file() {
        return Err(format!("there is no file `{from}`").into());
    }
    // Only read: not even brought up to date, in case it is the wrong file.
    let file = SqliteConnectOptions::new().filename(from).read_only(true);
    let from = SqliteStore::from_pool(SqlitePoolOptions::new().connect_with(file).await?);
    let to = PostgresStore::connect(to).await?;
    let report = copy(&from, &to, file_wins).await?;
    println!(
        "copied {}, updated {}, revoked {}, the same already {}",
        report.copied, report.updated, report.revoked, report.same
    );
    for id in &report.differ {
        eprintln!("{id}: differs; left as it is in PostgreSQL");
    }
    for id in &report.only_there {
        eprintln!("{id}: not in the file; revoke it, unless it was made since the move");
    }
    let decided = report.differ.is_empty() && report.only_there.is_empty();
    Ok(ExitCode::from(u8::from(!decided)))
}

/// Any two stores will do.
async fn copy(
    from: &dyn KeyStore,
    to: &dyn KeyStore,
    file_wins: bool,
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut seen = HashSet::new();
    let mut query = ListKeys::new().with_limit(ListKeys::MAX_LIMIT);
    loop {
        let page = from.list(&query).await?;
        for record in &page.records {
            seen.insert(record.id);
            copy_one(record, to, file_wins, &mut report).await?;
        }
        match page.next {
            Some(next) => query = query.with_after(next),
            None => break,
        }
    }
    query = ListKeys::new().with_limit(ListKeys::MAX_LIMIT);
    loop {
        let page = to.list(&query).await?;
        // What has ended can do no harm.
        let there = page
            .records
            .iter()
            .filter(|record| record.revocation.is_none());
        let unknown = there
            .map(|record| record.id)
            .filter(|id| !seen.contains(id));
        report.only_there.extend(unknown);
        match page.next {
            Some(next) => query = query.with_after(next),
            None => return Ok(report),
        }
    }
}

async fn copy_one(
    record: &KeyRecord,
    to: &dyn KeyStore,
    file_wins: bool,
    report: &mut Report,
) -> Result<(), StoreError> {
    match to.insert(InsertKey::new(record.clone())).await {
        Err(StoreError::AlreadyExists) => {}
        inserted => {
            report.copied += 1;
            return inserted;
        }
    }
    let Some(there) = to.find(&record.id).await? else {
        return Err(StoreError::NotFound);
    };
    if settings(record) == settings(&there) {
        report.same += 1;
    } else if record.revocation.is_some() && there.revocation.is_none() {
        // Whatever else has happened on either side: what was revoked stays revoked.
        let mut revoked = KeyRecord::clone(&there);
        revoked.revocation.clone_from(&record.revocation);
        to.update(&revoked).await?;
        report.revoked += 1;
    } else if file_wins && there.revocation.is_none() {
        let mut next = record.clone();
        next.revision = there.revision;
        to.update(&next).await?;
        report.updated += 1;
    } else {
        report.differ.push(record.id);
    }
    Ok(())
}

/// The record without what every use and every change leaves on it.
fn settings(record: &KeyRecord) -> KeyRecord {
    let mut settings = record.clone();
    settings.last_used = None;
    settings.current.last_used_at = None;
    if let Some(previous) = &mut settings.previous {
        previous.last_used_at = None;
    }
    settings.revision = keyward::key::Revision::new(0);
    settings
}
