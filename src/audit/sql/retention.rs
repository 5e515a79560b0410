//! Removing old rows, in short steps of their own.

use super::log::{event, within};
use crate::audit::{AuditError, AuditEvent, AuditExporter, PurgeError, RemovedPart};
use crate::sql::Dialect;
use crate::time::Timestamp;

/// The statements of one engine.
pub(super) struct Statements {
    /// Moment $1.
    pub(super) is_due: &'static str,
    /// Moment $1, rows $2. Leads over the index of times.
    pub(super) oldest: &'static str,
    /// Positions $1, in the engine's own form.
    pub(super) remove: &'static str,
}

macro_rules! statements {
    ($table:literal, $one_of_many:literal) => {
        Statements {
            is_due: concat!("SELECT EXISTS (SELECT 1 FROM ", $table, " WHERE time < $1)"),
            oldest: concat!(
                "SELECT position, recorder, sequence, event FROM ",
                $table,
                " WHERE time < $1 ORDER BY time, position LIMIT $2"
            ),
            remove: concat!("DELETE FROM ", $table, " WHERE position ", $one_of_many),
        }
    };
}

/// Several positions are a JSON list.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Statements =
    statements!("keyward_audit", "IN (SELECT value FROM json_each($1))");

/// Several positions are an array.
#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Statements = statements!("keyward.audit", "= ANY($1)");

/// Position, recorder, sequence and line of a row.
pub(super) type Old = (i64, String, Option<i64>, String);

/// A table from which rows can be removed.
pub(super) trait Prunable: Send + Sync {
    type Engine: Dialect;

    fn may_remove(&self) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    fn any_before(&self, micros: i64) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    fn oldest_before(
        &self,
        micros: i64,
        rows: i64,
    ) -> impl Future<Output = Result<Vec<Old>, sqlx::Error>> + Send;

    /// Removes the rows in a transaction of their own, and returns how many were there.
    fn remove(&self, positions: Vec<i64>) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

pub(super) async fn is_due<T: Prunable>(table: &T, before: Timestamp) -> Result<bool, AuditError> {
    // Asked first, so that a role without the right is found out on the first day and not after the first ninety.
    if !within::<T::Engine, _>(table.may_remove()).await? {
        return Err(AuditError::may_not_remove(T::Engine::ENGINE));
    }
    within::<T::Engine, _>(table.any_before(before.as_micros())).await
}

/// Nothing is locked while the events are exported.
pub(super) async fn remove_part<T: Prunable>(
    table: &T,
    before: Timestamp,
    most: usize,
    exporter: Option<&mut (dyn AuditExporter + '_)>,
) -> Result<Option<RemovedPart>, PurgeError> {
    let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
    let oldest = table.oldest_before(before.as_micros(), most);
    let rows = within::<T::Engine, _>(oldest).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    if let Some(exporter) = exporter {
        let exported = exporter.export(&events::<T::Engine>(&rows)?).await;
        exported.map_err(PurgeError::Export)?;
    }
    let mut part = part(&rows);
    let positions = rows.iter().map(|(position, ..)| *position).collect();
    part.events = within::<T::Engine, _>(table.remove(positions)).await?;
    Ok(Some(part))
}

fn events<D: Dialect>(rows: &[Old]) -> Result<Vec<AuditEvent>, AuditError> {
    let read = |(position, _, _, line): &Old| event::<D>(*position, line);
    rows.iter().map(read).collect()
}

fn part(rows: &[Old]) -> RemovedPart {
    let mut part = RemovedPart::default();
    for (position, recorder, sequence, _) in rows {
        part.last_position = part.last_position.max(Some(position.unsigned_abs()));
        part.note(recorder, sequence.map(i64::cast_unsigned));
    }
    part
}
