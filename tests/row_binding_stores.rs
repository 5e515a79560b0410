//! Bound rows on every store: whatever is edited in a row is noticed, and nothing that a store does by itself is.
#![cfg(all(
    feature = "postgres",
    feature = "sqlite",
    feature = "testing",
    feature = "vault"
))]
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod common;
mod servers;
mod vault_support;

use std::collections::BTreeSet;

use common::{HOUR, admin, pepper, policy, quick_bcrypt, request};
use keyward::access::Grant;
use keyward::audit::AuditKind;
use keyward::hash::Hashing;
use keyward::key::{KeyId, Metadata};
use keyward::service::{
    BindingFault, Field, IssuedKey, KeyService, KeyServiceBuilder, LifecycleError, Rejection,
    RequestContext, Rotation, RowBindingMode, UpdateKey, VerifyError,
};
use keyward::store::sqlx::{self, AssertSqlSafe, Row as _};
use keyward::store::{
    AuditedStore, KeyStore, ListKeys, ListOrder, MemoryStore, PostgresStore, SqliteStore,
    VaultStore,
};
use servers::{OpenBao, Postgres};

fn with(builder: KeyServiceBuilder) -> KeyService {
    let hashing = Hashing::builder()
        .prefer(quick_bcrypt(4))
        .peppers(pepper(1));
    builder
        .hashing(hashing.build().unwrap())
        .policy(policy())
        .row_binding(RowBindingMode::Required)
        .usage_interval(HOUR)
        .build()
        .unwrap()
}

/// How a presented key is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Accepted,
    Refused(Rejection),
    /// An outage: nothing is known.
    Unanswered,
}

use Answer::{Accepted, Refused, Unanswered};

const TAMPERED: Answer = Refused(Rejection::RecordTampered);

async fn answer(service: &KeyService, key: &IssuedKey) -> Answer {
    let context = RequestContext::new().with_client([192, 0, 2, 1].into());
    match service
        .verify(key.key().expose().as_bytes(), &context)
        .await
    {
        Ok(_) => Accepted,
        Err(VerifyError::Rejected(rejection)) => Refused(rejection),
        Err(_) => Unanswered,
    }
}

/// Each column, what is written into it, and how its key is answered then. Some columns only make sense together; alone they
/// make a row that cannot be read.
const EDITS: &[(&str, &str, Answer)] = &[
    ("id", "'0aZ9bY8cX7dW'", Refused(Rejection::UnknownKey)),
    ("environment", "'test'", TAMPERED),
    // The kind is part of the cheap check: see `current_check`.
    ("kind", "'publishable'", Refused(Rejection::WrongKind)),
    ("owner", "'mallory'", TAMPERED),
    ("created_at", "created_at + 1", TAMPERED),
    ("created_by", "'user:mallory'", TAMPERED),
    ("tenant", "'t2'", TAMPERED),
    ("platform", "true", TAMPERED),
    ("name", "'other'", TAMPERED),
    ("description", "NULL", TAMPERED),
    ("tier", "'enterprise'", TAMPERED),
    ("override_tier", "'enterprise'", Unanswered),
    ("override_until", "9000000000000000", Unanswered),
    ("role", "'root'", TAMPERED),
    ("scopes", "'[\"*\"]'", TAMPERED),
    ("denied", "'[\"billing:*\"]'", TAMPERED),
    ("networks", "NULL", TAMPERED),
    (
        "certificate",
        "'A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0'",
        TAMPERED,
    ),
    ("metadata", "'{\"plan\":\"gold\"}'", TAMPERED),
    ("justification", "'other'", TAMPERED),
    ("expires_at", "NULL", TAMPERED),
    ("disabled", "true", TAMPERED),
    ("revoked_at", "1", Unanswered),
    ("revoked_by", "'user:mallory'", Unanswered),
    ("revoked_reason", "'other'", Unanswered),
    ("exposed_at", "1", TAMPERED),
    ("revision", "revision + 1", TAMPERED),
    ("current_generation", "current_generation + 7", TAMPERED),
    ("current_digest", "previous_digest", TAMPERED),
    ("current_origin", "'imported'", TAMPERED),
    ("current_hint", "'zzzz'", TAMPERED),
    ("current_proof", "previous_proof", TAMPERED),
    // The cheap check comes first: this looks like a wrong secret, and only a pass over the rows shows what it is.
    (
        "current_check",
        "'v=1$00000000'",
        Refused(Rejection::WrongSecret),
    ),
    ("current_created_at", "current_created_at + 1", TAMPERED),
    ("current_end", "'at'", Unanswered),
    ("current_end_at", "9000000000000000", Unanswered),
    ("previous_generation", "previous_generation + 7", TAMPERED),
    ("previous_digest", "current_digest", TAMPERED),
    ("previous_origin", "'imported'", TAMPERED),
    ("previous_hint", "'zzzz'", TAMPERED),
    ("previous_proof", "NULL", TAMPERED),
    ("previous_check", "NULL", TAMPERED),
    ("previous_created_at", "previous_created_at + 1", TAMPERED),
    ("previous_end", "'on_successor_use'", TAMPERED),
    ("previous_end_at", "previous_end_at + 1", TAMPERED),
    ("binding", "NULL", Refused(Rejection::RecordUnbound)),
    ("last_used_at", "last_used_at + 1", Accepted),
    ("last_used_from", "'192.0.2.99'", Accepted),
    ("current_last_used_at", "1", Accepted),
    ("previous_last_used_at", "1", Accepted),
];

/// What only makes sense together.
const SEVERAL: &[&str] = &[
    "override_tier = 'enterprise', override_until = 9000000000000000",
    "revoked_at = 1, revoked_by = 'user:mallory', revoked_reason = 'other'",
    "current_end = 'at', current_end_at = 9000000000000000",
    "role = 'root', scopes = NULL",
    "previous_generation = NULL",
    "current_digest = previous_digest, current_proof = previous_proof, current_generation = previous_generation",
    "binding = 'nonsense'",
];

/// Runs statements by hand, as whoever edits a table does.
trait ByHand: KeyStore + Clone {
    const TABLE: &'static str;

    async fn run(&self, statement: String);
    async fn columns(&self) -> BTreeSet<String>;

    /// Edits the one row.
    async fn edit(&self, what: &str) {
        self.run(format!("UPDATE {} SET {what}", Self::TABLE)).await;
    }
}

impl ByHand for SqliteStore {
    const TABLE: &'static str = "keyward_keys";

    async fn run(&self, statement: String) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        statement.execute(self.pool()).await.unwrap();
    }

    async fn columns(&self) -> BTreeSet<String> {
        let rows = sqlx::query("SELECT name FROM pragma_table_info('keyward_keys')");
        let rows = rows.fetch_all(self.pool()).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl ByHand for PostgresStore {
    const TABLE: &'static str = "keyward.keys";

    async fn run(&self, statement: String) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        statement.execute(self.pool()).await.unwrap();
    }

    async fn columns(&self) -> BTreeSet<String> {
        let rows = sqlx::query(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'keyward' AND table_name = 'keys'",
        );
        let rows = rows.fetch_all(self.pool()).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// A key with much set, two live secrets and a use.
async fn full(service: &KeyService) -> IssuedKey {
    let metadata =
        serde_json::json!({"plan": "free", "seats": 3, "share": 0.25, "of": [null, true]});
    let asked = request()
        .with_description("nightly")
        .with_tier("pro")
        .with_networks("192.0.2.0/24, 2001:db8::/32".parse().unwrap())
        .with_metadata(Metadata::try_from(metadata).unwrap())
        .with_lifetime(HOUR * 48);
    let id = service.issue(&admin(), asked).await.unwrap().record().id;
    let rotation = Rotation::Grace(HOUR);
    let rotated = service.rotate(&admin(), &id, rotation).await.unwrap();
    assert_eq!(answer(service, &rotated).await, Accepted);
    service.flush_usage().await.unwrap();
    rotated
}

async fn each_edit_is_noticed<S: ByHand>(store: S) {
    let service = with(KeyService::builder(store.clone()));
    let key = full(&service).await;
    let decided: BTreeSet<_> = EDITS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(store.columns().await, decided, "a column nobody decided on");
    let table = S::TABLE;
    store
        .run(format!("CREATE TABLE kept AS SELECT * FROM {table}"))
        .await;
    let singles = EDITS
        .iter()
        .map(|(column, value, expected)| (format!("{column} = {value}"), *expected));
    let several = SEVERAL.iter().map(|edit| ((*edit).to_owned(), TAMPERED));
    for (edit, expected) in singles.chain(several) {
        store.edit(&edit).await;
        assert_eq!(answer(&service, &key).await, expected, "{edit}");
        if expected != Refused(Rejection::UnknownKey) {
            let disabled = service.disable(&admin(), &key.record().id).await;
            assert_eq!(disabled.is_ok(), expected == Accepted, "{edit}");
        }
        store.run(format!("DELETE FROM {table}")).await;
        store
            .run(format!("INSERT INTO {table} SELECT * FROM kept"))
            .await;
        assert_eq!(answer(&service, &key).await, Accepted, "after {edit}");
    }
}

/// What looks like a wrong secret, and what cannot be read, is found by a pass over the rows.
async fn a_pass_finds_what_requests_do_not<S: ByHand>(store: S) {
    let service = with(KeyService::builder(store.clone()));
    let key = full(&service).await;
    let watch = night_watch();
    let check = || service.check_bindings(&watch, ListKeys::new());
    assert!(check().await.unwrap().faults.is_empty());
    store.edit("current_check = 'v=1$00000000'").await;
    let faults = check().await.unwrap().faults;
    assert_eq!(faults.len(), 1);
    assert!(faults.iter().all(|(id, _)| *id == key.record().id));
}

/// Whoever can write could otherwise damage one row to keep the pass from finding the edits behind it.
async fn a_row_that_cannot_be_read_hides_no_other<S: ByHand>(store: S) {
    let service = with(KeyService::builder(store.clone()));
    let first = full(&service).await.record().id;
    let (watch, all) = (night_watch(), ListKeys::new());
    store.edit("revoked_at = 1").await;
    let _newer = full(&service).await;
    let before = service.check_bindings(&watch, all.clone()).await.unwrap();
    assert_eq!((before.looked_at, before.faults.len()), (1, 0));
    let rest = all.clone().with_after(before.next.unwrap());
    let page = service.check_bindings(&watch, rest.clone()).await.unwrap();
    assert_eq!(page.faults, [(first, BindingFault::Unreadable)]);
    assert_eq!(page.looked_at, 1);
    let behind = all.clone().with_after(page.next.unwrap());
    let end = service.check_bindings(&watch, behind).await.unwrap();
    assert_eq!((end.looked_at, end.next), (0, None));
    let bound = service.bind_records(&watch, rest).await.unwrap();
    assert_eq!(bound.left, [(first, BindingFault::Unreadable)]);
    assert_eq!(bound.next, page.next);
    // Places are told in the order of creation only.
    let oldest = all.with_order(ListOrder::OldestSecret);
    let stopped = service.check_bindings(&watch, oldest).await.unwrap_err();
    assert!(matches!(stopped, LifecycleError::Unavailable(_)));
}

fn night_watch() -> keyward::service::Actor {
    keyward::service::Actor::system("night-watch").unwrap()
}

/// The same on stores that keep whole records.
async fn an_edited_record_is_refused_and_revoked<S: KeyStore + Clone>(store: S) {
    let service = with(KeyService::builder(store.clone()));
    let key = full(&service).await;
    let id = key.record().id;
    let mut record = (*store.find(&id).await.unwrap().unwrap()).clone();
    record.grant = Grant::Role("root".parse().unwrap());
    store.update(&record).await.unwrap();
    assert_eq!(answer(&service, &key).await, TAMPERED);
    let update = UpdateKey::new().with_description(Field::Clear);
    let refused = service.update(&admin(), &id, update).await.unwrap_err();
    assert!(matches!(refused, LifecycleError::RecordTampered { key } if key == id));
    drop(service.revoke(&admin(), &id, "edited").await.unwrap());
    assert_eq!(answer(&service, &key).await, TAMPERED);
    service.delete(&admin(), &id).await.unwrap();
}

/// Everything that can be done to a key.
async fn a_key_lives_its_life(service: &KeyService) {
    let key = full(service).await;
    let id = key.record().id;
    let update = UpdateKey::new().with_description(Field::Clear);
    service.update(&admin(), &id, update).await.unwrap();
    service.disable(&admin(), &id).await.unwrap();
    service.enable(&admin(), &id).await.unwrap();
    assert_eq!(answer(service, &key).await, Accepted);
    let rotation = Rotation::UntilFirstUse(HOUR);
    let next = service.rotate(&admin(), &id, rotation).await.unwrap();
    assert_eq!(answer(service, &next).await, Accepted);
    service.flush_usage().await.unwrap();
    assert_eq!(answer(service, &next).await, Accepted);
    let page = service
        .check_bindings(&night_watch(), ListKeys::new())
        .await
        .unwrap();
    assert_eq!((page.looked_at, page.faults.len()), (1, 0));
    drop(service.revoke(&admin(), &id, "over").await.unwrap());
    assert_eq!(answer(service, &next).await, Refused(Rejection::Revoked));
    service.delete(&admin(), &id).await.unwrap();
}

/// Where change and event are one step, an edited row gets neither a change nor the event of one.
async fn an_edited_row_gets_no_change_and_no_event<S: ByHand, A: AuditedStore>(
    store: S,
    audited: A,
) {
    let log = audited.log();
    let service = with(KeyService::builder_audited(audited));
    let key = full(&service).await;
    let id: KeyId = key.record().id;
    store.edit("name = 'other'").await;
    let refused = service.disable(&admin(), &id).await.unwrap_err();
    assert!(matches!(refused, LifecycleError::RecordTampered { key } if key == id));
    let revoked = service.revoke(&admin(), &id, "edited").await.unwrap();
    assert!(revoked.unaudited.is_none());
    assert_eq!(answer(&service, &key).await, TAMPERED);
    service.shutdown().await.unwrap();
    let query = keyward::audit::AuditQuery::new();
    let page = log.unwrap().page(&query).await.unwrap();
    let kinds: Vec<_> = page.events.iter().map(|it| it.event.kind()).collect();
    assert!(!kinds.contains(&AuditKind::KeyDisabled));
    assert!(kinds.contains(&AuditKind::KeyRevoked));
}

async fn memory() -> MemoryStore {
    MemoryStore::new()
}

async fn sqlite() -> SqliteStore {
    SqliteStore::in_memory().await.unwrap()
}

async fn postgres() -> PostgresStore {
    let url = Postgres::shared().database();
    PostgresStore::connect(&url).await.unwrap()
}

async fn vault() -> VaultStore {
    let bao = OpenBao::shared();
    let name = vault_support::mount(bao).await;
    let client = vault_support::client(bao).await;
    VaultStore::open(&client, &name).await.unwrap()
}

macro_rules! on_each_store {
    ($($store:ident),*) => {$(
        mod $store {
            #[tokio::test]
            async fn an_edited_record_is_refused_and_revoked() {
                super::an_edited_record_is_refused_and_revoked(std::sync::Arc::new(super::$store().await)).await;
            }

            #[tokio::test]
            async fn a_key_lives_its_life() {
                let store = super::$store().await;
                super::a_key_lives_its_life(&super::with(super::KeyService::builder(store))).await;
            }
        }
    )*};
}

on_each_store!(memory, sqlite, postgres, vault);

macro_rules! on_each_engine {
    ($($engine:ident: $store:ident;)*) => {$(
        mod $engine {
            #[tokio::test]
            async fn each_edit_of_a_column_is_noticed() {
                super::each_edit_is_noticed(super::$store().await).await;
            }

            #[tokio::test]
            async fn a_pass_finds_what_requests_do_not() {
                super::a_pass_finds_what_requests_do_not(super::$store().await).await;
            }

            #[tokio::test]
            async fn a_row_that_cannot_be_read_hides_no_other() {
                super::a_row_that_cannot_be_read_hides_no_other(super::$store().await).await;
            }

            #[tokio::test]
            async fn an_edited_row_gets_no_change_and_no_event() {
                let store = super::$store().await;
                let audited = store.clone().with_audit("test").await.unwrap();
                super::an_edited_row_gets_no_change_and_no_event(store, audited).await;
            }

            #[tokio::test]
            async fn a_key_lives_its_life_where_the_store_keeps_the_trail() {
                let store = super::$store().await.with_audit("test").await.unwrap();
                super::a_key_lives_its_life(&super::with(super::KeyService::builder_audited(store))).await;
            }
        }
    )*};
}

on_each_engine! {
    on_sqlite: sqlite;
    on_postgres: postgres;
}
