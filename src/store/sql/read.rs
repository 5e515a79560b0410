//! A row as a record.
//!
//! Whatever does not make sense is an error that names its column: a row is never read as more than it says, and never
//! as absent.

use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::bind;
use super::statements::COLUMNS;
use crate::BoxError;
use crate::access::{Grant, TenantBinding};
use crate::hash::{DigestText, RowBinding, SecretOrigin, ShortCheck, StoredProof};
use crate::key::{
    Credential, CredentialEnd, Generation, KeyKind, KeyRecord, LastUse, Revision, Revocation,
    TierOverride,
};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The columns of one row, read from left to right.
pub(super) struct Columns<'r, R> {
    pub(super) row: &'r R,
    pub(super) next: usize,
}

impl<'r, R> Columns<'r, R> {
    pub(super) const fn new(row: &'r R) -> Self {
        Self { row, next: 0 }
    }

    /// Passes over columns that say nothing.
    const fn skip(&mut self, count: usize) {
        self.next = self.next.saturating_add(count);
    }

    /// Says that the column read last is damaged.
    pub(super) fn corrupt(&self, reason: impl Into<BoxError>) -> StoreError {
        let last = self.next.saturating_sub(1);
        let name = COLUMNS.split(", ").nth(last).unwrap_or("row");
        StoreError::corrupt(name, reason)
    }
}

/// Reads the next column. One implementation for each engine's rows.
pub(super) trait Read<'r> {
    fn maybe_text(&mut self) -> Result<Option<&'r str>, StoreError>;
    fn maybe_number(&mut self) -> Result<Option<i64>, StoreError>;
    fn flag(&mut self) -> Result<bool, StoreError>;
}

const MISSING: &str = "a value is missing";
const UNKNOWN: &str = "the value is not one of those known";
const UNPAIRED: &str = "the value does not fit the columns beside it";

impl<'r, R> Columns<'r, R>
where
    Self: Read<'r>,
{
    fn text(&mut self) -> Result<&'r str, StoreError> {
        self.maybe_text()?.ok_or_else(|| self.corrupt(MISSING))
    }

    fn number(&mut self) -> Result<i64, StoreError> {
        self.maybe_number()?.ok_or_else(|| self.corrupt(MISSING))
    }

    fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_micros)
    }

    fn maybe_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.maybe_number()?.map(Timestamp::from_micros))
    }

    fn maybe_string(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.maybe_text()?.map(str::to_owned))
    }

    fn parsed<T: FromStr<Err: Into<BoxError>>>(&mut self) -> Result<T, StoreError> {
        self.text()?.parse().map_err(|error| self.corrupt(error))
    }

    fn maybe_parsed<T: FromStr<Err: Into<BoxError>>>(&mut self) -> Result<Option<T>, StoreError> {
        let parsed = self.maybe_text()?.map(str::parse).transpose();
        parsed.map_err(|error| self.corrupt(error))
    }

    fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        let parsed = self.maybe_text()?.map(serde_json::from_str).transpose();
        parsed.map_err(|error| self.corrupt(error))
    }

    fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        self.maybe_json()?.ok_or_else(|| self.corrupt(MISSING))
    }

    /// Reads a whole row. The order of the fields here is the order of the columns.
    pub(super) fn record(&mut self) -> Result<KeyRecord, StoreError> {
        let mut record = KeyRecord {
            id: self.parsed()?,
            environment: self.parsed()?,
            owner: self.parsed()?,
            created_at: self.time()?,
            created_by: self.parsed()?,
            kind: self.kind()?,
            tenant: self.tenant()?,
            name: self.text()?.to_owned(),
            description: self.maybe_string()?,
            tier: self.maybe_string()?,
            tier_override: self.tier_override()?,
            grant: self.grant()?,
            denied: self.json()?,
            networks: self.maybe_json()?,
            certificate: self.maybe_parsed()?,
            metadata: self.json()?,
            justification: self.maybe_string()?,
            expires_at: self.maybe_time()?,
            disabled: self.flag()?,
            revocation: self.revocation()?,
            exposed_at: self.maybe_time()?,
            revision: Revision::new(self.number()?.cast_unsigned()),
            current: self.current()?,
            previous: self.maybe_credential()?,
            binding: self.maybe_text()?.map(RowBinding::from_text),
            last_used: self.last_use()?,
        };
        record.current.last_used_at = self.maybe_time()?;
        let previous_last_used_at = self.maybe_time()?;
        if let Some(previous) = &mut record.previous {
            previous.last_used_at = previous_last_used_at;
        }
        Ok(record)
    }

    fn kind(&mut self) -> Result<KeyKind, StoreError> {
        let word = self.text()?;
        let known = [KeyKind::Secret, KeyKind::Publishable];
        let kind = known.into_iter().find(|kind| kind.as_str() == word);
        kind.ok_or_else(|| self.corrupt(UNKNOWN))
    }

    fn tenant(&mut self) -> Result<TenantBinding, StoreError> {
        match (self.maybe_parsed()?, self.flag()?) {
            (None, false) => Ok(TenantBinding::None),
            (Some(tenant), false) => Ok(TenantBinding::Tenant(tenant)),
            (None, true) => Ok(TenantBinding::Platform),
            (Some(_), true) => Err(self.corrupt(UNPAIRED)),
        }
    }

    fn tier_override(&mut self) -> Result<Option<TierOverride>, StoreError> {
        match (self.maybe_text()?, self.maybe_time()?) {
            (None, None) => Ok(None),
            (Some(tier), Some(until)) => Ok(Some(TierOverride::new(tier, until))),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt(UNPAIRED)),
        }
    }

    fn grant(&mut self) -> Result<Grant, StoreError> {
        match (self.maybe_parsed()?, self.maybe_json()?) {
            (Some(role), None) => Ok(Grant::Role(role)),
            (None, Some(scopes)) => Ok(Grant::Scopes(scopes)),
            (Some(role), Some(scopes)) => Ok(Grant::RoleWithScopes { role, scopes }),
            (None, None) => Err(self.corrupt(MISSING)),
        }
    }

    fn revocation(&mut self) -> Result<Option<Revocation>, StoreError> {
        match (
            self.maybe_time()?,
            self.maybe_parsed()?,
            self.maybe_string()?,
        ) {
            (None, None, None) => Ok(None),
            (Some(at), Some(by), Some(reason)) => Ok(Some(Revocation::new(at, by, reason))),
            _ => Err(self.corrupt(UNPAIRED)),
        }
    }

    fn last_use(&mut self) -> Result<Option<LastUse>, StoreError> {
        match (self.maybe_time()?, self.maybe_parsed()?) {
            (Some(at), from) => Ok(Some(LastUse::new(at, from))),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(self.corrupt(UNPAIRED)),
        }
    }

    fn current(&mut self) -> Result<Credential, StoreError> {
        let generation = self.number()?;
        self.credential(generation)
    }

    fn maybe_credential(&mut self) -> Result<Option<Credential>, StoreError> {
        let Some(generation) = self.maybe_number()? else {
            self.skip(8);
            return Ok(None);
        };
        self.credential(generation).map(Some)
    }

    fn credential(&mut self, generation: i64) -> Result<Credential, StoreError> {
        let generation = u32::try_from(generation).map_err(|error| self.corrupt(error))?;
        Ok(Credential {
            generation: Generation::new(generation),
            digest: DigestText::new(self.text()?),
            origin: self.origin()?,
            hint: self.maybe_parsed()?,
            proof: self.maybe_text()?.map(StoredProof::from_text),
            check: self.maybe_text()?.map(ShortCheck::from_text),
            created_at: self.time()?,
            end: self.end()?,
            last_used_at: None,
        })
    }

    fn origin(&mut self) -> Result<SecretOrigin, StoreError> {
        match self.text()? {
            bind::GENERATED => Ok(SecretOrigin::Generated),
            bind::IMPORTED => Ok(SecretOrigin::Imported),
            _ => Err(self.corrupt(UNKNOWN)),
        }
    }

    fn end(&mut self) -> Result<CredentialEnd, StoreError> {
        match (self.text()?, self.maybe_time()?) {
            (bind::WITH_KEY, None) => Ok(CredentialEnd::WithKey),
            (bind::AT, Some(at)) => Ok(CredentialEnd::At(at)),
            (bind::ON_SUCCESSOR_USE, Some(at)) => Ok(CredentialEnd::OnSuccessorUse(at)),
            _ => Err(self.corrupt(UNPAIRED)),
        }
    }
}
