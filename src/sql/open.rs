//! Pools with the settings that `docs/store-contract.md` lists.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool};

use super::fault::Fault;

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSettings<'a> {
    pub(crate) path: &'a Path,
    pub(crate) synchronous: SqliteSynchronous,
    pub(crate) connections: u32,
    pub(crate) busy_timeout: Duration,
}

pub(crate) async fn file(settings: FileSettings<'_>) -> Result<SqlitePool, Fault> {
    let path = prepare(settings.path).map_err(|error| Fault::Unavailable(error.into()))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(settings.synchronous)
        .busy_timeout(settings.busy_timeout)
        .foreign_keys(true);
    let pool = resident(settings.connections).acquire_timeout(settings.busy_timeout);
    let tries = settings.busy_timeout.as_millis() / PAUSE.as_millis();
    for _ in 0..tries {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_locked(&error) => tokio::time::sleep(PAUSE).await,
            outcome => return outcome.map_err(Fault::of::<Sqlite>),
        }
    }
    let last = pool.connect_with(options).await;
    last.map_err(Fault::of::<Sqlite>)
}

/// Between two attempts to open a file that others are switching to WAL.
const PAUSE: Duration = Duration::from_millis(20);

/// The switch of a new file to WAL takes a lock for which SQLite does not wait, whatever the busy timeout: when several
/// processes start on a new file at once, all but one are told that it is locked.
fn is_locked(error: &sqlx::Error) -> bool {
    const BUSY: [&str; 3] = ["5", "261", "517"];
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| BUSY.contains(&&*code))
}

/// On one connection, because each would see a database of its own.
pub(crate) async fn in_memory() -> Result<SqlitePool, Fault> {
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(true);
    resident(1)
        .min_connections(1)
        .connect_with(options)
        .await
        .map_err(Fault::of::<Sqlite>)
}

/// Connections that stay: no network lies between us and the file that could have dropped them, so neither age nor a
/// test before each use gains anything.
fn resident(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Creates the file if it does not exist, and returns its absolute path: SQLite gives some relative ones (`:memory:`,
/// `file:…`, the empty one) a meaning of their own.
pub(crate) fn prepare(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut create = OpenOptions::new();
    create.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    match create.open(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(path),
    }
}
