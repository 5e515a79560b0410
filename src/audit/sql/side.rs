use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::sql::{self, Work};

/// Ends a statement in the server too when it is given up here: a little less than [`READING`](super::log::READING).
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '29s'";

/// Connections beside the pool, for what may take long: whoever reads or purges the trail takes none from those who verify
/// keys, and does not hold up the writer. There is one at a time, opened when it is needed.
pub(super) struct Side {
    options: Arc<PgConnectOptions>,
    turn: Mutex<()>,
}

impl Side {
    pub(super) fn new(pool: &PgPool) -> Self {
        Self {
            options: pool.connect_options(),
            turn: Mutex::default(),
        }
    }

    pub(super) async fn using<T>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send,
    ) -> Result<T, sqlx::Error> {
        let _turn = self.turn.lock().await;
        let mut connection = self.options.connect().await?;
        sql::postgres::refuse_replica(&mut connection).await?;
        sqlx::query(STATEMENT_TIMEOUT)
            .execute(&mut connection)
            .await?;
        let done = work(&mut connection).await;
        // What was asked for is here; the server notices in any case that nobody is there any more.
        drop(connection.close().await);
        done
    }
}
