//! What Vault answers, as far as it is of use here.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::VaultError;

/// The body of an answer, wiped on drop: it may hold a token or a pepper.
pub(super) struct Answer(Zeroizing<Vec<u8>>);

#[derive(Deserialize)]
struct Wrapper<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct WithAuth {
    auth: Option<Auth>,
}

/// A token and how long it lives. Not `Debug`.
#[derive(Deserialize)]
pub(super) struct Auth {
    pub(super) client_token: Zeroed,
    pub(super) lease_duration: u64,
    pub(super) renewable: bool,
}

/// Text that is wiped on drop.
pub(super) struct Zeroed(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Zeroed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Answer {
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self(Zeroizing::new(body))
    }

    /// SECURITY: serde's message would quote the value it stumbled over.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        let unreadable = VaultError::Answer {
            what: "its data is not as documented",
        };
        let wrapper: Option<Wrapper<T>> = serde_json::from_slice(&self.0).ok();
        wrapper.and_then(|it| it.data).ok_or(unreadable)
    }

    pub(super) fn auth(&self) -> Result<Auth, VaultError> {
        let wrapper: Option<WithAuth> = serde_json::from_slice(&self.0).ok();
        wrapper.and_then(|it| it.auth).ok_or(VaultError::Answer {
            what: "it holds no token",
        })
    }
}
