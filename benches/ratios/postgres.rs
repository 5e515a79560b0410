//! A verification on PostgreSQL beside the same SELECT, through sqlx alone and pipelined by `tokio-postgres`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward::RequestContext;
use keyward::key::KeyId;
use keyward::service::KeyService;
use keyward::store::sqlx::postgres::PgPoolOptions;
use keyward::store::sqlx::{self, AssertSqlSafe, PgPool, Row as _};
use keyward::store::{KeyStore, PostgresStore};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::measure::{Row, interleave};
use crate::reads::{KEYS, each, verify};
use crate::servers::Postgres;
use crate::world;

const ROUNDS: usize = 21;
const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;

/// A database with so many keys, [`KEYS`] of which have been used.
struct Filled {
    url: String,
    store: PostgresStore,
    service: KeyService,
    keys: Arc<Vec<Vec<u8>>>,
}

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // Large enough for the larger table, as a server's memory should be for the keys in use.
    let server = Postgres::private(&["-c", "shared_buffers=2GB"]);
    let small = runtime.block_on(fill(&server, FEW));
    alone(&runtime, &small);
    together(&runtime, &small);
    let large = runtime.block_on(fill(&server, MANY));
    many_keys(&runtime, &small, &large);
}

fn alone(runtime: &Runtime, filled: &Filled) {
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false);
    let pool = runtime.block_on(pool.connect(&filled.url)).unwrap();
    let medians = interleave(
        ROUNDS,
        &mut [
            &mut || verify(runtime, &filled.service, &filled.keys, 1),
            &mut || select(runtime, &pool, &filled.keys),
        ],
    );
    Row {
        name: "PostgreSQL verification / the same SELECT through sqlx alone, one at a time",
        ours: medians[0],
        reference: medians[1],
        target: 1.25,
        unit: "us",
    }
    .print();
}

fn together(runtime: &Runtime, filled: &Filled) {
    let (client, statement) = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&pipelined(&filled.url), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let statement = client
            .prepare("SELECT * FROM keyward.keys WHERE id = $1")
            .await
            .unwrap();
        (Arc::new(client), statement)
    });
    let medians = interleave(
        ROUNDS,
        &mut [
            &mut || verify(runtime, &filled.service, &filled.keys, 64),
            &mut || {
                each(runtime, 64, || {
                    let (client, statement) = (Arc::clone(&client), statement.clone());
                    let keys = Arc::clone(&filled.keys);
                    move |turn: usize| {
                        let (client, statement) = (Arc::clone(&client), statement.clone());
                        let id = id_of(&keys[turn % KEYS]);
                        async move {
                            let row = client.query_one(&statement, &[&id]).await.unwrap();
                            std::hint::black_box(row.len());
                        }
                    }
                })
            },
        ],
    );
    Row {
        name: "PostgreSQL verification / a pipelined read through tokio-postgres, 64 at a time",
        ours: medians[0],
        reference: medians[1],
        target: 1.0,
        unit: "us",
    }
    .print();
}

/// Keys all over the table, so that what is read is not what was read just before. All of it is read once beforehand, as on
/// a server that has been up for a while: a backend's first touch of a page costs more than the read.
fn many_keys(runtime: &Runtime, small: &Filled, large: &Filled) {
    for (name, at_once) in [
        (
            "PostgreSQL read of any of 1 M keys / of 1 k, one at a time",
            1,
        ),
        (
            "PostgreSQL read of any of 1 M keys / of 1 k, 64 at a time",
            64,
        ),
    ] {
        let medians = interleave(
            ROUNDS,
            &mut [
                &mut || anywhere(runtime, &large.store, MANY, at_once),
                &mut || anywhere(runtime, &small.store, FEW, at_once),
            ],
        );
        Row {
            name,
            ours: medians[0],
            reference: medians[1],
            target: 1.3,
            unit: "us",
        }
        .print();
    }
}

fn anywhere(runtime: &Runtime, store: &PostgresStore, keys: u64, at_once: usize) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    each(runtime, at_once, || {
        let store = store.clone();
        move |_| {
            let store = store.clone();
            let number = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) >> 20;
            let id: KeyId = format!("{:012}", 1 + number % keys).parse().unwrap();
            async move { assert!(store.find(&id).await.unwrap().is_some()) }
        }
    })
}

fn select(runtime: &Runtime, pool: &PgPool, keys: &Arc<Vec<Vec<u8>>>) -> f64 {
    each(runtime, 1, || {
        let (pool, keys) = (pool.clone(), Arc::clone(keys));
        move |turn: usize| {
            let (pool, id) = (pool.clone(), id_of(&keys[turn % KEYS]));
            async move {
                let query = sqlx::query("SELECT * FROM keyward.keys WHERE id = $1").bind(id);
                let row = query.fetch_one(&pool).await.unwrap();
                for column in 0..row.len() {
                    std::hint::black_box(row.try_get_raw(column).unwrap());
                }
            }
        }
    })
}

async fn fill(server: &Postgres, count: u64) -> Filled {
    let url = server.database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let shared: Arc<dyn KeyStore> = Arc::new(store.clone());
    let service = world::builder(shared).build().unwrap();
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
    let first = id_of(&keys[0]);
    let fill = format!(
        "INSERT INTO keyward.keys SELECT (jsonb_populate_record(k, jsonb_build_object('id', lpad(n::text, 12, '0')))).* \
         FROM keyward.keys k, generate_series(1, {count}) n WHERE k.id = '{first}'"
    );
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(store.pool())
        .await
        .unwrap();
    let warm = "CREATE EXTENSION pg_prewarm; \
                SELECT pg_prewarm('keyward.keys'), pg_prewarm('keyward.keys_pkey')";
    sqlx::raw_sql("VACUUM ANALYZE keyward.keys")
        .execute(store.pool())
        .await
        .unwrap();
    sqlx::raw_sql("CHECKPOINT")
        .execute(store.pool())
        .await
        .unwrap();
    sqlx::raw_sql(warm).execute(store.pool()).await.unwrap();
    Filled {
        url,
        store,
        service,
        keys: Arc::new(keys),
    }
}

fn id_of(presented: &[u8]) -> String {
    String::from_utf8_lossy(&presented[8..20]).into_owned()
}

/// The same address as `tokio-postgres` reads it.
fn pipelined(url: &str) -> String {
    let (database, parameters) = url
        .strip_prefix("postgres:///")
        .unwrap()
        .split_once('?')
        .unwrap();
    format!("dbname={database} {}", parameters.replace('&', " "))
}
