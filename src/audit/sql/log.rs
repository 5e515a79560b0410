//! Reading the table page by page. The statements are constants: no text of theirs is ever made at run time.

use std::time::Duration;

use tokio::time::timeout;

use super::row::searchable;
use super::sink::fault;
use crate::audit::{
    ActorRef, AuditCursor, AuditError, AuditEvent, AuditKind, AuditPage, AuditQuery, LoggedEvent,
    TenantFilter,
};
use crate::sql::Dialect;
use crate::sql::fault::Fault;
use crate::time::Timestamp;

/// How long a page, or a step of a purge, may take. A narrow question takes some hundredths of a second; a wide one over a
/// large table should be asked in narrower parts rather than wait longer.
pub(super) const READING: Duration = Duration::from_secs(30);

/// The statements of one engine, by the index that leads to the events.
///
/// Place $1, key $2, owner $3, tenant $4, actor $5, kinds $6 in the engine's own form, outcome $7, first moment $8, last
/// moment $9, events without a tenant only $10, rows $11.
#[derive(Clone, Copy)]
pub(super) struct Statements {
    of_key: &'static str,
    of_owner: &'static str,
    of_tenant: &'static str,
    of_time: &'static str,
    all: &'static str,
}

macro_rules! page {
    (($table:literal, $one_of_many:literal, $find:literal), ($led_by:literal, $place:literal)) => {
        concat!(
            "SELECT position, event FROM ",
            $table,
            " WHERE ",
            $led_by,
            " AND ($2 IS NULL OR key_id = $2) \
             AND ($3 IS NULL OR owner = $3) \
             AND ($4 IS NULL OR tenant = $4) \
             AND ($5 IS NULL OR actor = $5) \
             AND ($6 IS NULL OR kind ",
            $one_of_many,
            ") \
             AND ($7 IS NULL OR outcome = $7) \
             AND ($8 IS NULL OR time >= $8) \
             AND ($9 IS NULL OR time <= $9) \
             AND (NOT $10 OR (tenant IS NULL AND ",
            $find,
            "(event, '\"tenant_binding\":\"platform\"') = 0)) \
             ORDER BY ",
            $place,
            " LIMIT $11"
        )
    };
}

/// What leads to the events of a key, an owner or a tenant is the engine's own: see below. A plus before the position keeps
/// an engine from looking for a narrow range of times from the first position on.
///
/// In an event's line a quote within a text stands behind a backslash, so that no text can look like the detail that tells
/// of the platform.
macro_rules! statements {
    (engine: $engine:tt, of_key: $key:tt, of_owner: $owner:tt, of_tenant: $tenant:tt) => {
        Statements {
            of_key: page!($engine, $key),
            of_owner: page!($engine, $owner),
            of_tenant: page!($engine, $tenant),
            of_time: page!(
                $engine,
                ("time >= $8 AND time <= $9 AND +position > $1", "+position")
            ),
            all: page!($engine, ("position > $1", "position")),
        }
    };
}

/// Several kinds are a JSON list.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Statements = statements!(
    engine: ("keyward_audit", "IN (SELECT value FROM json_each($6))", "instr"),
    of_key: ("key_id = $2 AND position > $1", "position"),
    of_owner: ("owner = $3 AND position > $1", "position"),
    of_tenant: ("tenant = $4 AND position > $1", "position")
);

/// Several kinds are an array of texts.
///
/// Written so that the primary key cannot give the order: PostgreSQL takes the events of an owner to be evenly spread over
/// the table, would look for those of a busy one from the first position on, and find a new one's at the very end.
#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Statements = statements!(
    engine: ("keyward.audit", "= ANY($6)", "strpos"),
    of_key: ("(key_id, position) > ($2, $1) AND key_id <= $2", "key_id, position"),
    of_owner: ("(owner, position) > ($3, $1) AND owner <= $3", "owner, position"),
    of_tenant: ("(tenant, position) > ($4, $1) AND tenant <= $4", "tenant, position")
);

impl Statements {
    fn fitting(&self, query: &AuditQuery) -> &'static str {
        if query.key_id().is_some() {
            self.of_key
        } else if query.owner().is_some() {
            self.of_owner
        } else if matches!(query.tenant(), TenantFilter::Of(_)) {
            self.of_tenant
        } else if query.from().is_some() || query.until().is_some() {
            self.of_time
        } else {
            self.all
        }
    }
}

/// A query as the values of a statement.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) after: i64,
    pub(super) key_id: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) kinds: Option<Vec<&'static str>>,
    pub(super) outcome: Option<&'static str>,
    /// From the first moment to the last. Both are set, or none.
    pub(super) time: (Option<i64>, Option<i64>),
    pub(super) unbound: bool,
    pub(super) rows: i64,
}

impl Question {
    fn of(query: &AuditQuery) -> Self {
        let position = query.after().map_or(0, AuditCursor::position);
        let code = |kinds: &[AuditKind]| kinds.iter().map(|kind| kind.code()).collect();
        let one_more = query.page_size().saturating_add(1);
        Self {
            after: i64::try_from(position).unwrap_or(i64::MAX),
            key_id: query.key_id().map(searchable),
            owner: query.owner().map(searchable),
            tenant: match query.tenant() {
                TenantFilter::Of(tenant) => Some(searchable(tenant.as_str())),
                TenantFilter::Any | TenantFilter::Unbound => None,
            },
            actor: query.actor().map(ActorRef::as_str).map(searchable),
            kinds: query.kinds().map(code),
            outcome: query.outcome().map(super::row::outcome),
            time: span(query.from(), query.until()),
            unbound: *query.tenant() == TenantFilter::Unbound,
            rows: i64::try_from(one_more).unwrap_or(i64::MAX),
        }
    }
}

/// Moments are whole microseconds, so that the last one before the end is one less. Nothing lies before the first of all:
/// then the span ends before it begins.
fn span(from: Option<Timestamp>, until: Option<Timestamp>) -> (Option<i64>, Option<i64>) {
    let first = from.map_or(i64::MIN, Timestamp::as_micros);
    let last = until.map_or(Some(i64::MAX), |end| end.as_micros().checked_sub(1));
    match (from, until, last) {
        (None, None, _) => (None, None),
        (_, _, Some(last)) => (Some(first), Some(last)),
        (_, _, None) => (Some(i64::MAX), Some(i64::MIN)),
    }
}

/// Binds the values in their order.
macro_rules! ask {
    ($statement:expr, $question:expr, $kinds:expr) => {
        sqlx::query_as($statement)
            .bind($question.after)
            .bind($question.key_id)
            .bind($question.owner)
            .bind($question.tenant)
            .bind($question.actor)
            .bind($kinds)
            .bind($question.outcome)
            .bind($question.time.0)
            .bind($question.time.1)
            .bind($question.unbound)
            .bind($question.rows)
    };
}

pub(super) use ask;

/// A table that can be asked.
pub(super) trait Readable: Send + Sync {
    type Engine: Dialect;
    const STATEMENTS: Statements;

    /// Returns position and line of the events.
    fn rows(
        &self,
        statement: &'static str,
        question: Question,
    ) -> impl Future<Output = Result<Vec<(i64, String)>, sqlx::Error>> + Send;
}

pub(super) async fn page<T: Readable>(
    table: &T,
    query: &AuditQuery,
) -> Result<AuditPage, AuditError> {
    let question = Question::of(query);
    let rows = table.rows(T::STATEMENTS.fitting(query), question);
    let rows = within::<T::Engine, _>(rows).await?;
    let events = rows.into_iter().map(|(position, line)| {
        let event = event::<T::Engine>(position, &line)?;
        Ok(LoggedEvent::new(position.unsigned_abs(), event))
    });
    let events = events.collect::<Result<Vec<_>, AuditError>>()?;
    Ok(AuditPage::cut(events, query.page_size()))
}

/// What the reader of the line says may quote it, and a damaged row may hold anything: only the place is told.
pub(super) fn event<D: Dialect>(position: i64, line: &str) -> Result<AuditEvent, AuditError> {
    serde_json::from_str(line)
        .map_err(|_| AuditError::unreadable_event(D::ENGINE, format!("position {position}")))
}

/// Waits no longer than a page may take.
pub(super) async fn within<D: Dialect, T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, AuditError> {
    let late = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let done = timeout(READING, work).await;
    done.unwrap_or_else(|_| Err(late()))
        .map_err(|error| fault::<D>(Fault::of::<D>(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_a_span_before_its_end() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        assert_eq!(span(None, None), (None, None));
        assert_eq!(span(at(5), None), (Some(5), Some(i64::MAX)));
        assert_eq!(span(None, at(6)), (Some(i64::MIN), Some(5)));
        assert_eq!(span(at(5), at(5)), (Some(5), Some(4)));
        let (first, last) = span(None, Some(Timestamp::MIN));
        assert!(first > last);
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn every_question_is_led_by_its_index() {
        use sqlx::Row as _;

        use crate::audit::sql::{retention, tables};

        let pool = crate::sql::open::in_memory().await.unwrap();
        crate::sql::sqlite::migrate(&pool, tables::SQLITE)
            .await
            .unwrap();
        let asked = AuditQuery::new;
        let whole = "SEARCH keyward_audit USING INTEGER PRIMARY KEY (rowid>?)";
        let plans = [
            (
                SQLITE.fitting(&asked().with_key_id("a").with_from(Timestamp::EPOCH)),
                "keyward_audit_by_key (key_id=? AND position>?)",
                false,
            ),
            (
                SQLITE.fitting(&asked().with_owner("a").with_tenant("b")),
                "keyward_audit_by_owner (owner=? AND position>?)",
                false,
            ),
            (
                SQLITE.fitting(&asked().with_tenant("b").with_until(Timestamp::EPOCH)),
                "keyward_audit_by_tenant (tenant=? AND position>?)",
                false,
            ),
            (
                SQLITE.fitting(&asked().with_until(Timestamp::EPOCH)),
                "keyward_audit_by_time (time>? AND time<?)",
                true,
            ),
            (SQLITE.fitting(&asked()), whole, false),
            (SQLITE.fitting(&asked().without_tenant()), whole, false),
            (
                retention::SQLITE.oldest,
                "keyward_audit_by_time (time<?)",
                false,
            ),
            (
                retention::SQLITE.is_due,
                "keyward_audit_by_time (time<?)",
                false,
            ),
            (
                retention::SQLITE.remove,
                "INTEGER PRIMARY KEY (rowid=?)",
                false,
            ),
        ];
        for (statement, index, sorts) in plans {
            let statement = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let rows = sqlx::query(statement).fetch_all(&pool).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let plan = plan.join("; ");
            assert!(plan.contains(index), "{plan}");
            assert_eq!(plan.contains("TEMP B-TREE"), sorts, "{plan}");
        }
    }
}
