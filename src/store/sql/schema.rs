//! The tables, and how they came to be: numbered steps that are part of the program.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::Dialect;
use super::error::failed;
use crate::store::StoreError;

/// Remembers which steps were taken. Our own, so that the application's migrations and ours do not count each other.
const TABLE: &str = "keyward_key_migrations";

/// A step: its number, its name, its text. Never edited once released, only followed by others.
pub(super) type Step = (i64, &'static str, &'static str);

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

pub(super) fn migrator(steps: &[Step]) -> Migrator {
    let migrations = steps.iter().map(|(number, name, text)| {
        let text = (*text).into_sql_str();
        Migration::new(*number, (*name).into(), MigrationType::Simple, text, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

pub(super) fn migration_failed<D: Dialect>(error: MigrateError) -> StoreError {
    let reason = match error {
        MigrateError::VersionMissing(found) => SchemaError::Newer { found },
        MigrateError::VersionMismatch(step) => SchemaError::Altered { step },
        MigrateError::Dirty(step) => SchemaError::Unfinished { step },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            return failed::<D>(error);
        }
        other => return StoreError::backend(D::STORE, other),
    };
    StoreError::backend(D::STORE, reason)
}
