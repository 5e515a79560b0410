//! A key store of your own: one file of JSON, written anew with every change.
//!
//! Fine for a tool with a few hundred keys and one process. What it shows is the shape of any store: read and write
//! under one lock, let `apply_update` and `apply_usage` say what a write leaves, and hold the result to the contract
//! with the conformance suite:
//!
//! ```sh
//! cargo run --example custom_store --features testing
//! cargo test --example custom_store --features testing
//! ```

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use keyward::access::Grant;
use keyward::async_trait;
use keyward::hash::{DigestText, SecretOrigin};
use keyward::key::{Credential, Environment, KeyId, KeyRecord, Revision};
use keyward::store::{
    Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage, apply_update, apply_usage,
};
use keyward::time::Timestamp;
use tokio::sync::Mutex;

type Records = BTreeMap<KeyId, KeyRecord>;

/// Keeps all records in one file.
#[derive(Debug)]
struct JsonFileStore {
    path: PathBuf,
    /// Held from reading the file to writing it: this is what makes every change atomic.
    lock: Mutex<()>,
}

impl JsonFileStore {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lock: Mutex::new(()),
        }
    }

    fn load(&self) -> Result<Records, StoreError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| StoreError::corrupt("the file", error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Records::new()),
            Err(error) => Err(StoreError::unavailable("json file", error)),
        }
    }

    /// Writes beside the file and renames, so that a reader sees the old records or the new ones.
    fn save(&self, records: &Records) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(records)
            .map_err(|error| StoreError::backend("json file", error))?;
        let draft = self.path.with_extension("draft");
        std::fs::write(&draft, bytes)
            .and_then(|()| std::fs::rename(&draft, &self.path))
            .map_err(|error| StoreError::unavailable("json file", error))
    }

    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Records) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let _lock = self.lock.lock().await;
        let mut records = self.load()?;
        let outcome = change(&mut records)?;
        self.save(&records)?;
        Ok(outcome)
    }
}

#[async_trait]
impl KeyStore for JsonFileStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without_owner_limit()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        if insert.owner_limit.is_some() {
            return Err(StoreError::unsupported("json file", "an owner limit"));
        }
        self.change(|records| {
            if records.contains_key(&insert.record.id) {
                return Err(StoreError::AlreadyExists);
            }
            records.insert(insert.record.id, insert.record);
            Ok(())
        })
        .await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        Ok(self.load()?.remove(id).map(Arc::new))
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        self.change(|records| {
            let stored = records.get_mut(&record.id).ok_or(StoreError::NotFound)?;
            *stored = apply_update(stored, record)?;
            Ok(stored.revision)
        })
        .await
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.change(|records| {
            for used in usage {
                if let Some(record) = records.get_mut(&used.id) {
                    apply_usage(record, used);
                }
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        let mut records: Vec<_> = self.load()?.into_values().map(Arc::new).collect();
        records.retain(|record| query.matches(record));
        query.sort(&mut records);
        Ok(Page::cut(records, query))
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.change(|records| {
            let stored = records.get(id).ok_or(StoreError::NotFound)?;
            if stored.revision != expected {
                return Err(StoreError::Conflict);
            }
            records.remove(id);
            Ok(())
        })
        .await
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it found")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = JsonFileStore::new(folder.path().join("keys.json"));
    let now = Timestamp::from_secs(1_700_000_000);
    let record = KeyRecord::new(
        "0aZ9bY8cX7dW".parse()?,
        Environment::live(),
        "acme".parse()?,
        "nightly export",
        Grant::Scopes(vec!["leads:read".parse()?]),
        Credential::new(DigestText::new("$2b$12$…"), SecretOrigin::Generated, now),
        now,
        "user:ana".parse()?,
    );
    store.insert(InsertKey::new(record.clone())).await?;
    println!("found: {:?}", store.find(&record.id).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use keyward::testing::store_rules::Handles;

    use super::JsonFileStore;

    fn open() -> Handles {
        let folder = tempfile::tempdir().unwrap();
        Handles::new(JsonFileStore::new(folder.path().join("keys.json"))).keeping(folder)
    }

    keyward::key_store_conformance!(json_file, async { open() }, without[owner_limit]);
}
