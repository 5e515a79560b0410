//! The key-value engine, version 2: the few calls that peppers and records need.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::request::Request;
use super::{VaultClient, VaultError, place};
use crate::time::Timestamp;

/// A mount of the engine. `Debug` shows the client and the mount.
#[derive(Clone, Debug)]
pub(crate) struct Kv {
    client: VaultClient,
    mount: String,
}

/// A secret, its version, and when that version was written by Vault's clock.
pub(crate) struct Versioned<T> {
    pub(crate) data: T,
    pub(crate) version: u64,
    pub(crate) written: Timestamp,
}

/// What a mount does with versions.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct MountConfig {
    pub(crate) max_versions: u64,
    pub(crate) cas_required: bool,
    pub(crate) delete_version_after: String,
}

#[derive(Deserialize)]
struct Read<T> {
    data: Option<T>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
    created_time: String,
}

#[derive(Serialize)]
struct Write<'a, T> {
    data: &'a T,
    options: Options,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

#[derive(Deserialize)]
struct Names {
    keys: Vec<String>,
}

impl Kv {
    pub(crate) fn new(client: &VaultClient, mount: &str) -> Result<Self, VaultError> {
        Ok(Self {
            client: client.clone(),
            mount: place::checked("mount", mount)?,
        })
    }

    /// Reads the newest version. A secret that never was and one whose newest version is deleted are both `None`.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<Versioned<T>>, VaultError> {
        let request = Request::get(self.at("data", path));
        let read: Read<T> = match self.client.ask(&request).await {
            Err(VaultError::Absent) => return Ok(None),
            other => other?,
        };
        let written = read.metadata.written()?;
        let version = read.metadata.version;
        Ok(read.data.map(|data| Versioned {
            data,
            version,
            written,
        }))
    }

    /// Writes the version after `cas`, which is 0 for a secret that must not exist. Returns when, by Vault's clock.
    pub(crate) async fn write<T: Serialize + Sync>(
        &self,
        path: &str,
        data: &T,
        cas: u64,
    ) -> Result<Timestamp, VaultError> {
        let options = Options { cas };
        let request = Request::post(self.at("data", path), &Write { data, options })?;
        self.client.ask::<Metadata>(&request).await?.written()
    }

    /// Removes a secret with all its versions.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), VaultError> {
        let request = Request::delete(self.at("metadata", path));
        match self.client.tell(&request).await {
            Err(VaultError::Absent) => Ok(()),
            other => other,
        }
    }

    /// Returns the names in a folder. Folders in it end in a slash.
    pub(crate) async fn names(&self, folder: &str) -> Result<Vec<String>, VaultError> {
        let request = Request::list(self.at("metadata", folder));
        match self.client.ask::<Names>(&request).await {
            Err(VaultError::Absent) => Ok(Vec::new()),
            other => other.map(|names| names.keys),
        }
    }

    pub(crate) async fn config(&self) -> Result<MountConfig, VaultError> {
        let request = Request::get(format!("{}/config", self.mount));
        self.client.ask(&request).await
    }

    pub(crate) async fn configure(&self, config: &MountConfig) -> Result<(), VaultError> {
        let request = Request::post(format!("{}/config", self.mount), config)?;
        self.client.tell(&request).await
    }

    fn at(&self, what: &str, path: &str) -> String {
        format!("{}/{what}/{path}", self.mount)
    }
}

impl Metadata {
    fn written(&self) -> Result<Timestamp, VaultError> {
        let time: Result<jiff::Timestamp, _> = self.created_time.parse();
        time.map(|time| Timestamp::from_micros(time.as_microsecond()))
            .map_err(|_| VaultError::Answer {
                what: "a version has no time",
            })
    }
}
