use crate::sql::schema::Schema;

/// Step 1. Never edited once released, only followed by others: a test holds its text.
macro_rules! events {
    (table: $table:literal, text: $text:literal, number: $number:literal, position: $position:literal, options: $options:literal) => {
        concat!(
            "-- Moments are microseconds since 1970 in UTC. An event's line holds all of it.\n",
            "CREATE TABLE ",
            $table,
            " (\n",
            "    position ",
            $position,
            ",\n",
            "    recorder ",
            $text,
            " NOT NULL,\n",
            "    sequence ",
            $number,
            ",\n",
            "    id ",
            $text,
            " UNIQUE,\n",
            "    time ",
            $number,
            " NOT NULL,\n",
            "    kind ",
            $text,
            " NOT NULL,\n",
            "    outcome ",
            $text,
            " NOT NULL,\n",
            "    actor ",
            $text,
            ",\n",
            "    key_id ",
            $text,
            ",\n",
            "    owner ",
            $text,
            ",\n",
            "    tenant ",
            $text,
            ",\n",
            "    event ",
            $text,
            " NOT NULL\n",
            ")",
            $options,
            ";\n\n",
            "CREATE INDEX keyward_audit_by_recorder ON ",
            $table,
            " (recorder, sequence);\n",
            "CREATE INDEX keyward_audit_by_time ON ",
            $table,
            " (time, position);\n",
            "CREATE INDEX keyward_audit_by_key ON ",
            $table,
            " (key_id, position) WHERE key_id IS NOT NULL;\n",
            "CREATE INDEX keyward_audit_by_owner ON ",
            $table,
            " (owner, position) WHERE owner IS NOT NULL;\n",
            "CREATE INDEX keyward_audit_by_tenant ON ",
            $table,
            " (tenant, position) WHERE tenant IS NOT NULL;\n",
        )
    };
}

/// Positions are never used twice, not even those of events that are gone.
#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Schema = Schema {
    memory: "keyward_audit_migrations",
    steps: &[(
        1,
        "audit",
        events!(
            table: "keyward_audit",
            text: "TEXT",
            number: "INTEGER",
            position: "INTEGER PRIMARY KEY AUTOINCREMENT",
            options: " STRICT"
        ),
    )],
};

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Schema = Schema {
    memory: "keyward.audit_migrations",
    steps: &[(
        1,
        "audit",
        events!(
            table: "keyward.audit",
            text: "TEXT COLLATE \"C\"",
            number: "BIGINT",
            position: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            options: ""
        ),
    )],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that took a step remembers its text, and refuses another.
    #[test]
    fn released_steps_are_never_edited() {
        #[cfg(feature = "sqlite")]
        assert_eq!(SQLITE.fingerprints(), ["249977d481f459ab"]);
        #[cfg(feature = "postgres")]
        assert_eq!(POSTGRES.fingerprints(), ["d546c6f746e25725"]);
    }
}
