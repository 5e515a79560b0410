//! One call of the HTTP API, as `rustify` sends it.

use rustify::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde::Serialize;
use zeroize::Zeroizing;

use super::VaultError;

/// A call. Not vaultrs' own: theirs hold a check-and-set version in 32 bits, and log what Vault answers.
pub(super) struct Request {
    method: RequestMethod,
    path: String,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Request {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::bare(RequestMethod::GET, path)
    }

    pub(super) fn list(path: impl Into<String>) -> Self {
        Self::bare(RequestMethod::LIST, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::bare(RequestMethod::DELETE, path)
    }

    pub(super) fn post(path: impl Into<String>, body: &impl Serialize) -> Result<Self, VaultError> {
        // With room for a log-in, so that its secret id does not stay behind in a smaller buffer.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *bytes, body)
            .map_err(|_| VaultError::Setting { name: "body" })?;
        Ok(Self {
            body: Some(bytes),
            ..Self::bare(RequestMethod::POST, path)
        })
    }

    fn bare(method: RequestMethod, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
        }
    }
}

impl Endpoint for &Request {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.body.as_deref().cloned())
    }
}
