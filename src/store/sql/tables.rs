//! The table, step by step, for every engine: one text, in which the names of types and the table's own differ.

use crate::sql::schema::Schema;

/// Step 1. Never edited once released, only followed by others: a test holds its text.
macro_rules! keys {
    (table: $table:literal, text: $text:literal, number: $number:literal, flag: $flag:literal, options: $options:literal) => {
        concat!(
            "-- Moments are microseconds since 1970 in UTC. Lists and objects are JSON text.\nCREATE TABLE ",
            $table,
            " (\n    id ",
            $text,
            " NOT NULL PRIMARY KEY,\n    environment ",
            $text,
            " NOT NULL,\n    owner ",
            $text,
            " NOT NULL,\n    created_at ",
            $number,
            " NOT NULL,\n    created_by ",
            $text,
            " NOT NULL,\n    tenant ",
            $text,
            ",\n    platform ",
            $flag,
            " NOT NULL,\n    name ",
            $text,
            " NOT NULL,\n    description ",
            $text,
            ",\n    tier ",
            $text,
            ",\n    override_tier ",
            $text,
            ",\n    override_until ",
            $number,
            ",\n    role ",
            $text,
            ",\n    scopes ",
            $text,
            ",\n    denied ",
            $text,
            " NOT NULL,\n    networks ",
            $text,
            ",\n    certificate ",
            $text,
            ",\n    metadata ",
            $text,
            " NOT NULL,\n    justification ",
            $text,
            ",\n    expires_at ",
            $number,
            ",\n    disabled ",
            $flag,
            " NOT NULL,\n    revoked_at ",
            $number,
            ",\n    revoked_by ",
            $text,
            ",\n    revoked_reason ",
            $text,
            ",\n    revision ",
            $number,
            " NOT NULL,\n    current_generation ",
            $number,
            " NOT NULL,\n    current_digest ",
            $text,
            " NOT NULL,\n    current_origin ",
            $text,
            " NOT NULL,\n    current_hint ",
            $text,
            ",\n    current_proof ",
            $text,
            ",\n    current_check ",
            $text,
            ",\n    current_created_at ",
            $number,
            " NOT NULL,\n    current_end ",
            $text,
            " NOT NULL,\n    current_end_at ",
            $number,
            ",\n    previous_generation ",
            $number,
            ",\n    previous_digest ",
            $text,
            ",\n    previous_origin ",
            $text,
            ",\n    previous_hint ",
            $text,
            ",\n    previous_proof ",
            $text,
            ",\n    previous_check ",
            $text,
            ",\n    previous_created_at ",
            $number,
            ",\n    previous_end ",
            $text,
            ",\n    previous_end_at ",
            $number,
            ",\n    last_used_at ",
            $number,
            ",\n    last_used_from ",
            $text,
            ",\n    current_last_used_at ",
            $number,
            ",\n    previous_last_used_at ",
            $number,
            "\n)",
            $options,
            ";\n\nCREATE INDEX keyward_keys_by_creation ON ",
            $table,
            " (created_at, id);\nCREATE INDEX keyward_keys_by_owner ON ",
            $table,
            " (owner, created_at, id);\nCREATE INDEX keyward_keys_by_tenant ON ",
            $table,
            " (tenant, created_at, id) WHERE tenant IS NOT NULL;\n",
        )
    };
}

/// Step 2: when a key was exposed, and the orders of reviews.
macro_rules! reviews {
    (table: $table:literal, number: $number:literal) => {
        concat!(
            "ALTER TABLE ",
            $table,
            " ADD COLUMN exposed_at ",
            $number,
            ";\nCREATE INDEX keyward_keys_by_expiry ON ",
            $table,
            " (expires_at, id) WHERE expires_at IS NOT NULL;\nCREATE INDEX keyward_keys_by_secret ON ",
            $table,
            " (current_created_at, id);\n",
        )
    };
}

/// Step 3: what kind of key it is, and what binds its row.
macro_rules! kinds {
    (table: $table:literal, text: $text:literal) => {
        concat!(
            "ALTER TABLE ",
            $table,
            " ADD COLUMN kind ",
            $text,
            " NOT NULL DEFAULT 'secret';\nALTER TABLE ",
            $table,
            " ADD COLUMN binding ",
            $text,
            ";\n",
        )
    };
}

/// Strict, so that a type is a type.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Schema = Schema {
    memory: "keyward_key_migrations",
    steps: &[
        (
            1,
            "keys",
            keys!(table: "keyward_keys", text: "TEXT", number: "INTEGER", flag: "INTEGER", options: " STRICT"),
        ),
        (
            2,
            "reviews",
            reviews!(table: "keyward_keys", number: "INTEGER"),
        ),
        (3, "kinds", kinds!(table: "keyward_keys", text: "TEXT")),
    ],
};

/// Texts are compared by their bytes, whatever the database's collation is. Pages keep some room, so that a use, which
/// touches no index, can stay on its page.
#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Schema = Schema {
    memory: "keyward.key_migrations",
    steps: &[
        (
            1,
            "keys",
            keys!(
                table: "keyward.keys",
                text: "TEXT COLLATE \"C\"",
                number: "BIGINT",
                flag: "BOOLEAN",
                options: " WITH (fillfactor = 80)"
            ),
        ),
        (
            2,
            "reviews",
            reviews!(table: "keyward.keys", number: "BIGINT"),
        ),
        (
            3,
            "kinds",
            kinds!(table: "keyward.keys", text: "TEXT COLLATE \"C\""),
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that took a step remembers its text, and refuses another.
    #[test]
    fn released_steps_are_never_edited() {
        #[cfg(feature = "sqlite")]
        assert_eq!(
            SQLITE.fingerprints(),
            ["c6c49317fadb37d7", "94404c90bcd6db13", "0be01c54e1d2479b"]
        );
        #[cfg(feature = "postgres")]
        assert_eq!(
            POSTGRES.fingerprints(),
            ["3dd4178ccff6a95a", "93685008d855622f", "28eb1f93692c3728"]
        );
    }
}
