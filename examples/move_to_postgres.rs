//! Moves keys from SQLite to PostgreSQL: nobody gets a new key, and nothing has to be hashed again.
//!
//! ```sh
//! cargo run --release --example move_to_postgres --features postgres,sqlite -- \
//!     keyward.sqlite 'postgres://app@db.internal/app'
//! ```
//!
//! Stop whatever writes to the SQLite file first, or use a copy (`sqlite3 keyward.sqlite "VACUUM INTO 'copy.sqlite'"`) and
//! run this again at the end: what is there already is compared and brought up to date, nothing is ever overwritten by
//! something older, and it says at the end what it did. The file is only read. The audit trail stays where it is.
#![allow(
    clippy::print_stdout,
    reason = "a program for the terminal says what it did"
)]

use std::error::Error;

use keyward::key::KeyRecord;
use keyward::store::{InsertKey, KeyStore, ListKeys, PostgresStore, SqliteStore, StoreError};

/// What became of the records.
#[derive(Debug, Default)]
struct Report {
    copied: u64,
    updated: u64,
    same: u64,
    /// Changed on both sides, or only in PostgreSQL: left alone.
    newer: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: move_to_postgres FILE postgres://…".into());
    };
    if !std::path::Path::new(from).is_file() {
        return Err(format!("there is no file `{from}`").into());
    }
    let (from, to) = (
        SqliteStore::open(from).await?,
        PostgresStore::connect(to).await?,
    );
    let report = copy(&from, &to).await?;
    let Report {
        copied,
        updated,
        same,
        newer,
    } = report;
    println!(
        "copied {copied}, updated {updated}, the same already {same}, newer in PostgreSQL and left {newer}"
    );
    Ok(())
}

/// Any two stores will do.
async fn copy(from: &dyn KeyStore, to: &dyn KeyStore) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut query = ListKeys::new().with_limit(ListKeys::MAX_LIMIT);
    loop {
        let page = from.list(&query).await?;
        for record in &page.records {
            copy_one(record, to, &mut report).await?;
        }
        match page.next {
            Some(next) => query = query.with_after(next),
            None => return Ok(report),
        }
    }
}

/// The revision counts changes, so the copy with the higher one is the later one.
async fn copy_one(
    record: &KeyRecord,
    to: &dyn KeyStore,
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
    if there.revision > record.revision {
        report.newer += 1;
    } else if there.revision == record.revision {
        report.same += 1;
    } else {
        // Each update raises the revision by one: as many as it takes, the last of them with everything.
        let mut next = record.clone();
        next.revision = there.revision;
        while next.revision < record.revision {
            next.revision = to.update(&next).await?;
        }
        report.updated += 1;
    }
    Ok(())
}
