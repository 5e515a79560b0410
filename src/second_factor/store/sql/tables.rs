use crate::sql::schema::Schema;

/// Step 1. Never edited once released, only followed by others: a test holds its text.
macro_rules! factors {
    (table: $table:literal, text: $text:literal, number: $number:literal, options: $options:literal) => {
        concat!(
            "-- One row an actor. A revision is random; the state is sealed, and begins with the version of its key.\n",
            "CREATE TABLE ",
            $table,
            " (\n",
            "    actor ",
            $text,
            " NOT NULL PRIMARY KEY,\n",
            "    revision ",
            $number,
            " NOT NULL,\n",
            "    state ",
            $text,
            " NOT NULL\n",
            ")",
            $options,
            ";\n",
        )
    };
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Schema = Schema {
    memory: "keyward_factors_migrations",
    steps: &[(
        1,
        "factors",
        factors!(table: "keyward_factors", text: "TEXT", number: "INTEGER", options: " STRICT"),
    )],
};

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Schema = Schema {
    memory: "keyward.factors_migrations",
    steps: &[(
        1,
        "factors",
        factors!(table: "keyward.factors", text: "TEXT COLLATE \"C\"", number: "BIGINT", options: ""),
    )],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that took a step remembers its text, and refuses another.
    #[test]
    fn released_steps_are_never_edited() {
        #[cfg(feature = "sqlite")]
        assert_eq!(SQLITE.fingerprints(), ["9dcb425b6b4072e0"]);
        #[cfg(feature = "postgres")]
        assert_eq!(POSTGRES.fingerprints(), ["9f8a66383bdba637"]);
    }
}
