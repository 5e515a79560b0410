//! The tables, and how they came to be: numbered steps that are part of the program.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::Dialect;
use super::fault::Fault;

/// A step: its number, its name, its text. Never edited once released, only followed by others.
pub(crate) type Step = (i64, &'static str, &'static str);

/// One part's tables, and the table that remembers which steps were taken: our own, so that the application's
/// migrations and ours do not count each other.
#[derive(Clone, Copy)]
pub(crate) struct Schema {
    pub(crate) memory: &'static str,
    pub(crate) steps: &'static [Step],
}

/// The tables are not as this version needs them, and it cannot make them so.
#[derive(Debug, thiserror::Error)]
enum SchemaError {
    #[error("the tables were made by a newer version: step {found} is not known here")]
    Newer { found: i64 },
    #[error("step {step} was taken with another text than the one known here")]
    Altered { step: i64 },
    #[error("step {step} was begun and not finished")]
    Unfinished { step: i64 },
}

impl Schema {
    pub(crate) fn migrator(self) -> Migrator {
        let migrations = self.steps.iter().map(|(number, name, text)| {
            let text = (*text).into_sql_str();
            Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        migrator.dangerous_set_table_name(self.memory);
        // The caller has a transaction that nobody else can have at the same time.
        migrator.set_locking(false);
        migrator
    }

    /// The first bytes of each step's SHA-256, for tests that see to it that no step is edited.
    #[cfg(test)]
    pub(crate) fn fingerprints(self) -> Vec<String> {
        use sha2::{Digest as _, Sha256};

        let text = |(_, _, text): &Step| {
            let hash = Sha256::digest(text);
            hash.iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        self.steps.iter().map(text).collect()
    }
}

pub(crate) fn failed<D: Dialect>(error: MigrateError) -> Fault {
    let reason = match error {
        MigrateError::VersionMissing(found) => SchemaError::Newer { found },
        MigrateError::VersionMismatch(step) => SchemaError::Altered { step },
        MigrateError::Dirty(step) => SchemaError::Unfinished { step },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            return Fault::of::<D>(error);
        }
        other => return Fault::Backend(other.into()),
    };
    Fault::Backend(reason.into())
}

/// The tables were made by a version that took this step as well.
#[cfg(feature = "postgres")]
pub(crate) fn newer(found: i64) -> Fault {
    Fault::Backend(SchemaError::Newer { found }.into())
}

/// This step was taken with another text.
#[cfg(feature = "postgres")]
pub(crate) fn altered(step: i64) -> Fault {
    Fault::Backend(SchemaError::Altered { step }.into())
}
