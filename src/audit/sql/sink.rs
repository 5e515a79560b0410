use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::row::Row;
use crate::audit::{AuditError, AuditEvent};
use crate::random::{OsRandom, SecureRandom as _};
use crate::sql::Dialect;
use crate::sql::fault::Fault;

/// How long one batch may take, from the wait for a connection to the commit. The recorder repeats what fails, and an event
/// that is there already is not written twice.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest label, in bytes: a host's name and some.
const MAX_LABEL: usize = 64;

/// Where one engine keeps events.
pub(super) trait Table: Send + Sync + 'static {
    type Engine: Dialect;

    /// Writes rows in this order, all or none. Rows whose id is there already are left out.
    fn insert(
        &self,
        recorder: &str,
        rows: Vec<Row>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Returns the highest sequence of this recorder.
    fn last(&self, recorder: &str)
    -> impl Future<Output = Result<Option<i64>, sqlx::Error>> + Send;
}

/// Returns a name that no other recorder has: the label, and a random number.
pub(super) fn recorder_name(label: &str) -> Result<Arc<str>, AuditError> {
    let mut random = [0; 8];
    OsRandom::new().fill(&mut random)?;
    let number = u64::from_be_bytes(random);
    let label: String = label.chars().filter(|c| !c.is_control()).collect();
    let label = label
        .get(..label.floor_char_boundary(MAX_LABEL))
        .unwrap_or_default();
    Ok(format!("{label}/{number:016x}").into())
}

/// Writes to a [`Table`], one batch after the other.
pub(super) struct Sink<T> {
    table: Arc<T>,
    recorder: Arc<str>,
    turn: Arc<Mutex<()>>,
}

impl<T: Table> Sink<T> {
    /// Gives the sink a name that no other has: sequences count the events of one recorder, and two processes of one name
    /// would count the same numbers.
    pub(super) fn new(table: T, label: &str) -> Result<Self, AuditError> {
        Ok(Self {
            table: Arc::new(table),
            recorder: recorder_name(label)?,
            turn: Arc::default(),
        })
    }

    pub(super) fn recorder(&self) -> &str {
        &self.recorder
    }

    /// Goes on when the caller does not wait any longer, so that no batch can come after a later one.
    pub(super) async fn write(&self, events: &[AuditEvent]) -> Result<(), AuditError> {
        if events.is_empty() {
            return Ok(());
        }
        let rows = events.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (table, recorder) = (Arc::clone(&self.table), Arc::clone(&self.recorder));
        let writing = tokio::spawn(async move {
            let written = within(table.insert(&recorder, rows)).await;
            drop(turn);
            written
        });
        let written = writing.await.unwrap_or(Err(sqlx::Error::WorkerCrashed));
        written.map_err(failed::<T::Engine>)
    }

    /// Waits for the batch under way; what was written is as safe as the database keeps it.
    pub(super) async fn flush(&self) {
        drop(self.turn.lock().await);
    }

    pub(super) async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
        let last = within(self.table.last(&self.recorder)).await;
        Ok(last.map_err(failed::<T::Engine>)?.map(i64::cast_unsigned))
    }
}

async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

pub(crate) fn failed<D: Dialect>(error: sqlx::Error) -> AuditError {
    fault::<D>(Fault::of::<D>(error))
}

pub(super) fn fault<D: Dialect>(fault: Fault) -> AuditError {
    match fault {
        Fault::Unavailable(source) => AuditError::unavailable(D::ENGINE, source),
        Fault::Backend(source) | Fault::Duplicate(source) => AuditError::backend(D::ENGINE, source),
    }
}

/// What every engine's sink has in common, for one that keeps a [`Sink`] in `sink`.
macro_rules! audit_sink {
    ($sink:ident) => {
        impl $sink {
            /// Returns the name under which this sink's events stand in the table.
            #[must_use]
            pub fn recorder(&self) -> &str {
                self.sink.recorder()
            }
        }

        impl std::fmt::Debug for $sink {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($sink))
                    .field("recorder", &self.recorder())
                    .finish_non_exhaustive()
            }
        }

        #[async_trait::async_trait]
        impl $crate::audit::AuditLog for $sink {
            async fn page(
                &self,
                query: &$crate::audit::AuditQuery,
            ) -> Result<$crate::audit::AuditPage, AuditError> {
                $crate::audit::sql::log::page(self, query).await
            }
        }

        #[async_trait::async_trait]
        impl $crate::audit::AuditRetention for $sink {
            async fn is_due(&self, before: $crate::time::Timestamp) -> Result<bool, AuditError> {
                $crate::audit::sql::retention::is_due(self, before).await
            }

            async fn remove_part(
                &self,
                before: $crate::time::Timestamp,
                most: usize,
                exporter: Option<&mut (dyn $crate::audit::AuditExporter + '_)>,
            ) -> Result<Option<$crate::audit::RemovedPart>, $crate::audit::PurgeError> {
                $crate::audit::sql::retention::remove_part(self, before, most, exporter).await
            }
        }

        #[async_trait::async_trait]
        impl $crate::audit::AuditSink for $sink {
            async fn write(&self, events: &[$crate::audit::AuditEvent]) -> Result<(), AuditError> {
                self.sink.write(events).await
            }

            async fn flush(&self) -> Result<(), AuditError> {
                self.sink.flush().await;
                Ok(())
            }

            async fn last_sequence(&self) -> Result<Option<u64>, AuditError> {
                self.sink.last_sequence().await
            }
        }
    };
}

pub(super) use audit_sink;
