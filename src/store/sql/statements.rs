//! The statements, as constants: no text of theirs is ever made at run time.
//!
//! Placeholders are numbered, types are text, 64-bit integer and boolean, and every construct means the same to SQLite
//! and PostgreSQL. What differs is the table's name and how several ids are handed over.

use crate::key::KeyStatus;
use crate::store::{ListKeys, ListOrder};

/// The statements of one engine.
pub(super) struct Statements {
    /// Id $1.
    pub(super) find: &'static str,
    /// Ids $1, in the engine's own form.
    pub(super) find_many: &'static str,
    /// Id $1.
    pub(super) exists: &'static str,
    /// All columns, from $1.
    pub(super) insert: &'static str,
    /// The same, and the limit $51. Counts the owner's keys that are active when the new one is created ($3 and $4), and
    /// inserts while there are fewer.
    pub(super) insert_within_limit: &'static str,
    /// Settings are $1 to $20, the next revision $21, credentials $22 to $39 (generations $22 and $31), the binding $40, then id and the
    /// revision that must still be stored.
    ///
    /// A last use follows its generation: the right-hand sides see the row as it was.
    pub(super) update: &'static str,
    /// Id $1, revision $2.
    pub(super) delete: &'static str,
    /// Owner $1 and tenant $2 are tested by the first part, so that a plan can use their index; $3 and $4 are the place
    /// in the order to continue after, and $15 the number of rows.
    pub(super) list: &'static str,
    pub(super) list_of_owner: &'static str,
    pub(super) list_of_tenant: &'static str,
    pub(super) list_by_expiry: &'static str,
    pub(super) list_by_secret: &'static str,
}

/// All columns, in the order in which records are bound and read: what never changes, settings, revision, current and
/// previous credential, binding, usage.
macro_rules! columns {
    () => {
        "id, environment, owner, created_at, created_by, kind, \
         tenant, platform, name, description, tier, override_tier, override_until, role, scopes, denied, networks, \
         certificate, metadata, justification, expires_at, disabled, revoked_at, revoked_by, revoked_reason, \
         exposed_at, \
         revision, \
         current_generation, current_digest, current_origin, current_hint, current_proof, current_check, \
         current_created_at, current_end, current_end_at, \
         previous_generation, previous_digest, previous_origin, previous_hint, previous_proof, previous_check, \
         previous_created_at, previous_end, previous_end_at, \
         binding, \
         last_used_at, last_used_from, current_last_used_at, previous_last_used_at"
    };
}

/// Where `created_at` stands among the columns.
pub(super) const CREATED_AT: usize = 3;

/// The columns of a record, parted by a comma and a space.
pub(super) const COLUMNS: &str = columns!();

macro_rules! insert {
    ($table:literal, $condition:expr) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (",
            columns!(),
            ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
             $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, \
             $43, $44, $45, $46, $47, $48, $49, $50",
            $condition
        )
    };
}

macro_rules! list {
    ($table:literal, $owner_and_tenant:literal) => {
        list!($table, $owner_and_tenant, "(created_at, id) < ($3, $4)", "created_at DESC, id DESC")
    };
    ($table:literal, $owner_and_tenant:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $table,
            " WHERE ",
            $owner_and_tenant,
            " AND ",
            $after,
            " AND ($5 IS NULL OR environment = $5) \
             AND ($6 IS NULL OR role = $6) \
             AND ($7 IS NULL OR $7 = CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN disabled THEN 'disabled' \
             WHEN expires_at <= $8 THEN 'expired' ELSE 'active' END) \
             AND ($9 IS NULL OR expires_at < $9) \
             AND ($10 IS NULL OR created_at < $10) \
             AND ($11 IS NULL OR current_created_at < $11) \
             AND (NOT $12 OR last_used_at IS NULL) \
             AND ($13 IS NULL OR last_used_at < $13) \
             AND (NOT $14 OR exposed_at >= current_created_at) \
             ORDER BY ",
            $order,
            " LIMIT $15"
        )
    };
}

macro_rules! statements {
    (table: $table:literal, one_of_many: $one_of_many:literal) => {
        Statements {
            find: concat!("SELECT ", columns!(), " FROM ", $table, " WHERE id = $1"),
            find_many: concat!(
                "SELECT ",
                columns!(),
                " FROM ",
                $table,
                " WHERE id ",
                $one_of_many
            ),
            exists: concat!("SELECT 1 FROM ", $table, " WHERE id = $1"),
            insert: insert!($table, ""),
            insert_within_limit: insert!(
                $table,
                concat!(
                    " WHERE (SELECT count(*) FROM ",
                    $table,
                    " WHERE owner = $3 AND revoked_at IS NULL AND NOT disabled \
                     AND (expires_at IS NULL OR expires_at > $4)) < $51"
                )
            ),
            update: concat!(
                "UPDATE ",
                $table,
                " SET \
                 tenant = $1, platform = $2, name = $3, description = $4, tier = $5, override_tier = $6, \
                 override_until = $7, role = $8, scopes = $9, denied = $10, networks = $11, certificate = $12, \
                 metadata = $13, justification = $14, expires_at = $15, disabled = $16, revoked_at = $17, \
                 revoked_by = $18, revoked_reason = $19, exposed_at = $20, \
                 revision = $21, \
                 current_generation = $22, current_digest = $23, current_origin = $24, current_hint = $25, \
                 current_proof = $26, current_check = $27, current_created_at = $28, current_end = $29, \
                 current_end_at = $30, \
                 previous_generation = $31, previous_digest = $32, previous_origin = $33, previous_hint = $34, \
                 previous_proof = $35, previous_check = $36, previous_created_at = $37, previous_end = $38, \
                 previous_end_at = $39, \
                 binding = $40, \
                 current_last_used_at = CASE WHEN current_generation = $22 THEN current_last_used_at \
                 WHEN previous_generation = $22 THEN previous_last_used_at END, \
                 previous_last_used_at = CASE WHEN current_generation = $31 THEN current_last_used_at \
                 WHEN previous_generation = $31 THEN previous_last_used_at END \
                 WHERE id = $41 AND revision = $42"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE id = $1 AND revision = $2"),
            list: list!($table, "$1 IS NULL AND $2 IS NULL"),
            list_of_owner: list!($table, "owner = $1 AND ($2 IS NULL OR tenant = $2)"),
            list_of_tenant: list!($table, "$1 IS NULL AND tenant = $2"),
            list_by_expiry: list!(
                $table,
                "($1 IS NULL OR owner = $1) AND ($2 IS NULL OR tenant = $2)",
                "expires_at IS NOT NULL AND (expires_at, id) > ($3, $4)",
                "expires_at, id"
            ),
            list_by_secret: list!(
                $table,
                "($1 IS NULL OR owner = $1) AND ($2 IS NULL OR tenant = $2)",
                "(current_created_at, id) > ($3, $4)",
                "current_created_at, id"
            ),
        }
    };
}

/// Several ids are a JSON list.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Statements =
    statements!(table: "keyward_keys", one_of_many: "IN (SELECT value FROM json_each($1))");

/// Several ids are an array of texts.
#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Statements =
    statements!(table: "keyward.keys", one_of_many: "= ANY($1)");

/// Comes after every id in the order of bytes: ids hold letters and digits only.
const AFTER_ALL_IDS: &str = "~";

/// Returns the place after which the page of a query begins.
pub(super) fn beginning(query: &ListKeys) -> (i64, String) {
    if let Some(after) = &query.after {
        return (after.moment().as_micros(), after.id().to_string());
    }
    match (query.order, query.status) {
        (ListOrder::NewestFirst, _) => (i64::MAX, AFTER_ALL_IDS.to_owned()),
        // None of those that have expired fits, and there may be very many.
        (ListOrder::SoonestExpiry, Some((KeyStatus::Active, now))) => {
            (now.as_micros(), String::new())
        }
        (ListOrder::SoonestExpiry | ListOrder::OldestSecret, _) => (i64::MIN, String::new()),
    }
}
