//! The rules of `NoticeLog`, for every log that ships and every wrapper.
#![cfg(feature = "testing")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    reason = "a test may say what it expects"
)]

use std::sync::Arc;

use keyward::notice::{MemoryNoticeLog, NoticeLog};
use keyward::notice_log_conformance;
use keyward::testing::notice_rules::LogHandles;

#[cfg(feature = "postgres")]
mod servers;

async fn memory() -> LogHandles {
    let log = MemoryNoticeLog::new();
    LogHandles::new(log.clone(), log)
}

async fn pointers() -> LogHandles {
    let log = MemoryNoticeLog::new();
    let boxed: Box<dyn NoticeLog> = Box::new(log.clone());
    LogHandles::new(Arc::new(log), boxed)
}

notice_log_conformance!(in_memory, super::memory);
notice_log_conformance!(behind_pointers, super::pointers);

#[cfg(feature = "sqlite")]
mod sqlite {
    use keyward::notice::SqliteNoticeLog;
    use keyward::notice_log_conformance;
    use keyward::store::SqliteStore;
    use keyward::testing::notice_rules::LogHandles;

    async fn on_a_file() -> LogHandles {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let other = SqliteStore::open(&path).await.unwrap();
        let log = SqliteNoticeLog::from_pool(store.pool().clone());
        let other = SqliteNoticeLog::from_pool(other.pool().clone());
        log.migrate().await.unwrap();
        other.migrate().await.unwrap();
        LogHandles::new(log, other).keeping(folder)
    }

    notice_log_conformance!(file, super::on_a_file);
}

#[cfg(feature = "postgres")]
mod postgres {
    use keyward::notice::PostgresNoticeLog;
    use keyward::notice_log_conformance;
    use keyward::store::sqlx::PgPool;
    use keyward::testing::notice_rules::LogHandles;

    use super::servers::Postgres;

    async fn fresh() -> LogHandles {
        let url = Postgres::shared().database();
        let log = PostgresNoticeLog::from_pool(PgPool::connect(&url).await.unwrap());
        let other = PostgresNoticeLog::from_pool(PgPool::connect(&url).await.unwrap());
        let (one, two) = tokio::join!(log.migrate(), other.migrate());
        one.and(two).unwrap();
        LogHandles::new(log, other)
    }

    notice_log_conformance!(two_pools, super::fresh);
}

/// A process that starts again finds what was sent before.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn remembers_after_a_restart() {
    use keyward::notice::{NoticeId, SqliteNoticeLog};
    use keyward::store::SqliteStore;
    use keyward::time::Timestamp;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.db");
    let id = NoticeId::new("0aZ9bY8cX7dW".parse().unwrap(), "a");
    for open in [true, false] {
        let store = SqliteStore::open(&path).await.unwrap();
        let log = SqliteNoticeLog::from_pool(store.pool().clone());
        log.migrate().await.unwrap();
        let now = Timestamp::EPOCH;
        assert_eq!(
            log.open(std::slice::from_ref(&id), now).await.unwrap(),
            [open]
        );
        log.sent(&id, now).await.unwrap();
        store.close().await;
    }
}

/// Before the table is made, and when the server is gone: an error, never "open".
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn says_so_when_there_is_no_table() {
    use keyward::notice::{NoticeId, NoticeLogError, SqliteNoticeLog};
    use keyward::store::SqliteStore;
    use keyward::time::Timestamp;

    let store = SqliteStore::in_memory().await.unwrap();
    let log = SqliteNoticeLog::from_pool(store.pool().clone());
    let id = [NoticeId::new("0aZ9bY8cX7dW".parse().unwrap(), "a")];
    let error = log.open(&id, Timestamp::EPOCH).await.unwrap_err();
    assert!(matches!(error, NoticeLogError::Backend { .. }), "{error:?}");
    store.close().await;
    let error = log.open(&id, Timestamp::EPOCH).await.unwrap_err();
    assert!(
        matches!(error, NoticeLogError::Unavailable { .. }),
        "{error:?}"
    );
}
