use sqlx::{Sqlite, SqlitePool};

use super::Dialect;
use super::fault::Fault;
use super::schema::{self, Schema};

/// Brings the tables up to date, in one transaction that no other process can have at the same time.
pub(crate) async fn migrate(pool: &SqlitePool, schema: Schema) -> Result<(), Fault> {
    // sqlx takes no lock of its own on SQLite; two processes that start together would both create the tables.
    let begun = pool.begin_with(Sqlite::BEGIN).await;
    let mut change = begun.map_err(Fault::of::<Sqlite>)?;
    let migrator = schema.migrator();
    let run = migrator.run_direct(None, &mut *change, false);
    run.await.map_err(schema::failed::<Sqlite>)?;
    change.commit().await.map_err(Fault::of::<Sqlite>)
}

impl Dialect for Sqlite {
    const ENGINE: &'static str = "sqlite";
    /// Takes the write lock before the first read. A transaction that reads first and writes later fails when another
    /// one wrote in between, and no busy timeout helps.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    const CLOSES_ABANDONED: bool = false;

    /// Result codes of <https://www.sqlite.org/rescode.html>: busy, locked, out of memory, interrupted, input or output
    /// error, disk full, cannot open, locking protocol. The lowest byte is the code, the rest says more about it.
    fn is_transient(code: &str) -> bool {
        const TRANSIENT: [u32; 8] = [5, 6, 7, 9, 10, 13, 14, 15];
        code.parse::<u32>()
            .is_ok_and(|code| TRANSIENT.contains(&(code & 0xff)))
    }

    /// A file has no connection to lose.
    fn is_lost(_: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_codes_pass_with_time() {
        for code in ["5", "6", "261", "517", "13", "10", "3338", "14"] {
            assert!(Sqlite::is_transient(code), "{code}");
        }
        for code in ["1", "8", "11", "19", "1555", "26", "", "x", "-5"] {
            assert!(!Sqlite::is_transient(code), "{code}");
        }
    }
}
