use crate::sql::schema::Schema;

/// Step 1. Never edited once released, only followed by others: a test holds its text.
macro_rules! notices {
    (table: $table:literal, text: $text:literal, number: $number:literal, options: $options:literal) => {
        concat!(
            "-- Moments are microseconds since 1970 in UTC.\nCREATE TABLE ",
            $table,
            " (\n    key_id ",
            $text,
            " NOT NULL,\n    topic ",
            $text,
            " NOT NULL,\n    holder ",
            $text,
            ",\n    claimed_until ",
            $number,
            ",\n    deferred ",
            $number,
            " NOT NULL,\n    sent_at ",
            $number,
            ",\n    PRIMARY KEY (key_id, topic)\n)",
            $options,
            ";\n",
        )
    };
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Schema = Schema {
    memory: "keyward_notice_migrations",
    steps: &[(
        1,
        "notices",
        notices!(table: "keyward_notices", text: "TEXT", number: "INTEGER", options: " STRICT, WITHOUT ROWID"),
    )],
};

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Schema = Schema {
    memory: "keyward.notice_migrations",
    steps: &[(
        1,
        "notices",
        notices!(table: "keyward.notices", text: "TEXT COLLATE \"C\"", number: "BIGINT", options: ""),
    )],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that took a step remembers its text, and refuses another.
    #[test]
    fn released_steps_are_never_edited() {
        #[cfg(feature = "sqlite")]
        assert_eq!(SQLITE.fingerprints(), ["3faee9dafbbbca16"]);
        #[cfg(feature = "postgres")]
        assert_eq!(POSTGRES.fingerprints(), ["476969d82f3f9ec0"]);
    }
}
