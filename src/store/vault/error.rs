//! What Vault's answer means to a caller of the store.

use crate::store::StoreError;
use crate::vault::VaultError;

pub(super) const STORE: &str = "vault";

pub(super) fn failed(error: VaultError) -> StoreError {
    match error {
        VaultError::Conflict => StoreError::Conflict,
        outage if outage.is_outage() => StoreError::unavailable(STORE, outage),
        other => StoreError::backend(STORE, other),
    }
}
