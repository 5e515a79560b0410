//! The statements, as constants, in words that mean the same to both engines.

/// The statements of one engine.
pub(super) struct Statements {
    /// Keys $1, in the engine's own form, and now $2. Those of their notices that are not open.
    pub(super) closed: &'static str,
    /// Key $1, topic $2, holder $3, now $4, end $5. A row if it is claimed.
    pub(super) claim: &'static str,
    /// Key $1, topic $2, moment $3.
    pub(super) sent: &'static str,
    /// Key $1, topic $2, holder $3, end $4.
    pub(super) defer: &'static str,
    /// Moment $1.
    pub(super) forget: &'static str,
}

macro_rules! statements {
    (table: $table:literal, one_of_many: $one_of_many:literal) => {
        Statements {
            closed: concat!(
                "SELECT key_id, topic FROM ",
                $table,
                " WHERE key_id ",
                $one_of_many,
                " AND (sent_at IS NOT NULL OR claimed_until > $2)"
            ),
            claim: concat!(
                "INSERT INTO ",
                $table,
                " AS n (key_id, topic, holder, claimed_until, deferred) VALUES ($1, $2, $3, $5, 0) \
                 ON CONFLICT (key_id, topic) DO UPDATE SET holder = $3, claimed_until = $5 \
                 WHERE n.sent_at IS NULL AND n.claimed_until <= $4 RETURNING deferred"
            ),
            sent: concat!(
                "INSERT INTO ",
                $table,
                " AS n (key_id, topic, deferred, sent_at) VALUES ($1, $2, 0, $3) \
                 ON CONFLICT (key_id, topic) DO UPDATE SET sent_at = $3 WHERE n.sent_at IS NULL"
            ),
            defer: concat!(
                "UPDATE ",
                $table,
                " SET claimed_until = $4, deferred = deferred + 1 \
                 WHERE key_id = $1 AND topic = $2 AND holder = $3 AND sent_at IS NULL"
            ),
            forget: concat!(
                "DELETE FROM ",
                $table,
                " WHERE sent_at < $1 OR (sent_at IS NULL AND claimed_until < $1)"
            ),
        }
    };
}

/// Several keys are a JSON list.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Statements =
    statements!(table: "keyward_notices", one_of_many: "IN (SELECT value FROM json_each($1))");

/// Several keys are an array of texts.
#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Statements =
    statements!(table: "keyward.notices", one_of_many: "= ANY($1)");
