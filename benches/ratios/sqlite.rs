//! A verification on SQLite beside the same SELECT through sqlx alone.

use std::sync::Arc;

use keyward::RequestContext;
use keyward::store::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use keyward::store::sqlx::{self, Row as _, SqlitePool};
use keyward::store::{KeyStore, SqliteStore};
use tokio::runtime::Runtime;

use crate::measure::{Row, interleave};
use crate::reads::{KEYS, each, verify};
use crate::world;

const ROUNDS: usize = 21;

pub(crate) fn run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.sqlite");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (service, keys, pool) = runtime.block_on(async {
        let store: Arc<dyn KeyStore> = Arc::new(SqliteStore::open(&path).await.unwrap());
        let service = world::builder(store).build().unwrap();
        let mut keys = Vec::new();
        for _ in 0..KEYS {
            let key = world::issue(&service).await.into_key();
            let presented = key.expose().as_bytes().to_vec();
            service
                .verify(&presented, &RequestContext::new())
                .await
                .unwrap();
            keys.push(presented);
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_with(options)
            .await;
        (service, Arc::new(keys), pool.unwrap())
    });
    for (name, at_once, target) in [
        (
            "SQLite verification / the same SELECT through sqlx alone, one at a time",
            1,
            1.25,
        ),
        (
            "SQLite verification / the same SELECT through sqlx alone, 64 at a time",
            64,
            1.0,
        ),
    ] {
        let medians = interleave(
            ROUNDS,
            &mut [
                &mut || verify(&runtime, &service, &keys, at_once),
                &mut || select(&runtime, &pool, &keys, at_once),
            ],
        );
        Row {
            name,
            ours: medians[0],
            reference: medians[1],
            target,
            unit: "us",
        }
        .print();
    }
}

/// Microseconds a read of the whole row, by its id, every column taken out.
fn select(runtime: &Runtime, pool: &SqlitePool, keys: &Arc<Vec<Vec<u8>>>, at_once: usize) -> f64 {
    each(runtime, at_once, || {
        let (pool, keys) = (pool.clone(), Arc::clone(keys));
        move |turn: usize| {
            let (pool, keys) = (pool.clone(), Arc::clone(&keys));
            async move {
                let id = String::from_utf8_lossy(&keys[turn % KEYS][8..20]).into_owned();
                let query = sqlx::query("SELECT * FROM keyward_keys WHERE id = $1").bind(id);
                let row = query.fetch_one(&pool).await.unwrap();
                for column in 0..row.len() {
                    std::hint::black_box(row.try_get_raw(column).unwrap());
                }
            }
        }
    })
}
