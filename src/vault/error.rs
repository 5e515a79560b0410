use std::time::Duration;

use rustify::errors::ClientError;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::BoxError;
use crate::hash::HashBuildError;

/// Vault could not be set up, or did not do what it was asked.
///
/// What Vault wrote in its answer is never part of it: no text, cause or `Debug` output holds a token, a secret id, a
/// pepper or a digest.
///
/// ```
/// use keyward::vault::{VaultClient, VaultError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let refused = VaultClient::builder("http://vault.internal:8200").token("t").connect().await.unwrap_err();
/// assert!(matches!(refused, VaultError::PlainHttp));
/// assert!(!refused.is_outage());
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The address is not `http://` or `https://`, a host and perhaps a port.
    #[error("the address of Vault must be http:// or https://, a host and perhaps a port")]
    Address,
    /// `http://` to another machine: the token would cross the network in clear.
    #[error("http:// is for a Vault on this machine only")]
    PlainHttp,
    /// The client was not given a tokio runtime to run on.
    #[error("the Vault client needs a tokio runtime")]
    NoRuntime,
    /// A setting cannot be used: empty, zero, or of characters that have no place there.
    #[error("the Vault setting `{name}` is unusable")]
    Setting {
        /// Which.
        name: &'static str,
    },
    /// The process has no TLS to use. Needed for `http://` too, because the HTTP client is built with TLS.
    #[error(
        "no rustls crypto provider is installed in this process: add the crate `rustls` with the feature `ring` and call \
         `rustls::crypto::ring::default_provider().install_default()` before connecting"
    )]
    NoCryptoProvider,
    /// The root certificates are no PEM, or the HTTP client refused them.
    #[error("the root certificates for Vault cannot be used")]
    Certificates,
    /// Vault refused role id and secret id.
    #[error("Vault refused the log-in")]
    Login,
    /// Vault answered 403: the token lacks the permission, or has expired and there is nothing to log in with.
    #[error("Vault denied the request: the token is invalid, has expired or lacks the permission")]
    Denied,
    /// There is nothing at the place that was asked for, in an engine that is there.
    #[error("Vault has nothing at that place")]
    Absent,
    /// No engine is mounted where one was asked for, or something else than Vault answered 404. Never taken for a secret
    /// that is not there.
    #[error("nothing is mounted at that place in Vault")]
    NotMounted,
    /// A write was conditional on a version that is no longer the present one.
    #[error("the secret in Vault was changed meanwhile")]
    Conflict,
    /// Vault answered 503: it is sealed, or not ready yet.
    #[error("Vault is sealed or not ready")]
    Sealed,
    /// Vault, or what stands in front of it, is out of order for now.
    #[error("Vault is out of order for now (status {status})")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// No connection, or one that broke.
    #[error("Vault cannot be reached")]
    Unreachable {
        /// What the HTTP client said.
        #[source]
        source: BoxError,
    },
    /// No answer in time.
    #[error("Vault did not answer within {deadline:?}")]
    Deadline {
        /// The time.
        deadline: Duration,
    },
    /// Vault refused the request for another reason. Its log says which.
    #[error("Vault refused the request (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The answer does not have the form it should.
    #[error("Vault's answer cannot be read: {what}")]
    Answer {
        /// What is wrong.
        what: &'static str,
    },
    /// The mount keeps old versions, takes unconditional writes, or deletes by itself. `VaultStore::prepare` sets it right.
    #[error("the mount is not fit for records: it needs `{setting}`")]
    Mount {
        /// What it needs.
        setting: &'static str,
    },
    /// The peppers that are stored in Vault make no ring, or not one that may follow the present one.
    #[error("the peppers in Vault cannot be used")]
    Peppers {
        /// Why.
        #[from]
        source: HashBuildError,
    },
}

impl VaultError {
    /// Returns whether trying again later may help, without anybody changing a setting.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Sealed
                | Self::Unavailable { .. }
                | Self::Unreachable { .. }
                | Self::Deadline { .. }
        )
    }
}

/// Sorts what the HTTP layer says by what can be done about it.
///
/// SECURITY: bodies end here. They name paths, and a proxy's may hold whatever was sent to it.
pub(super) fn sorted(error: ClientError) -> VaultError {
    match error {
        ClientError::ServerResponseError { code, content } => {
            by_status(code, content.as_deref().unwrap_or_default())
        }
        ClientError::RequestError { source, .. } | ClientError::ResponseError { source } => {
            let source = source.downcast::<reqwest::Error>().map_or_else(
                |_| BoxError::from("the request failed"),
                |error| error.without_url().into(),
            );
            VaultError::Unreachable { source }
        }
        _ => VaultError::Answer {
            what: "the exchange failed",
        },
    }
}

fn by_status(status: u16, body: &str) -> VaultError {
    match status {
        400 if body.contains("check-and-set") => VaultError::Conflict,
        // A mount that was made a moment ago.
        400 if body.contains("Upgrading from non-versioned") => VaultError::Unavailable { status },
        403 => VaultError::Denied,
        404 if is_absence(body) => VaultError::Absent,
        404 => VaultError::NotMounted,
        503 => VaultError::Sealed,
        // A standby that is not up to date, too many requests, a standby's health, a gateway.
        412 | 429 | 472 | 473 | 502 | 504 => VaultError::Unavailable { status },
        _ => VaultError::Refused { status },
    }
}

/// Tells an engine that has nothing there from a place without an engine, and from whatever else answers 404.
///
/// The engine answers with no errors, or for a deleted version with what is known of it.
///
/// SECURITY: a key whose record seems absent is refused as invalid. When a mount is gone, no key may be.
fn is_absence(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Absence {
        errors: Option<Vec<IgnoredAny>>,
        data: Option<Deleted>,
    }

    #[derive(Deserialize)]
    struct Deleted {
        #[serde(rename = "metadata")]
        _metadata: IgnoredAny,
    }

    let Ok(body) = serde_json::from_str::<Absence>(body) else {
        return false;
    };
    match (body.errors, body.data) {
        (Some(errors), _) => errors.is_empty(),
        (None, data) => data.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_answers_by_what_can_be_done() {
        let cas = r#"{"errors":["check-and-set parameter did not match the current version"]}"#;
        assert!(matches!(by_status(400, cas), VaultError::Conflict));
        assert!(matches!(
            by_status(400, "{}"),
            VaultError::Refused { status: 400 }
        ));
        assert!(matches!(by_status(403, ""), VaultError::Denied));
        for (status, outage) in [
            (503, true),
            (429, true),
            (502, true),
            (307, false),
            (500, false),
        ] {
            assert_eq!(by_status(status, "").is_outage(), outage, "{status}");
        }
    }

    #[test]
    fn takes_a_404_for_an_absence_only_when_the_engine_says_so() {
        for body in [
            r#"{"errors":[]}"#,
            r#"{"data":{"data":null,"metadata":{"version":1}},"warnings":null}"#,
        ] {
            assert!(matches!(by_status(404, body), VaultError::Absent), "{body}");
        }
        for body in [
            "",
            "{}",
            "<html>not found</html>",
            r#"{"errors":["no handler for route"]}"#,
            r#"{"errors":["no handler for route"],"data":{"metadata":{}}}"#,
            r#"{"data":{}}"#,
            r#"{"data":null}"#,
            r#"{"message":"not found"}"#,
        ] {
            let sorted = by_status(404, body);
            assert!(matches!(sorted, VaultError::NotMounted), "{body}");
        }
    }

    #[test]
    fn keeps_the_body_to_itself() {
        let error = sorted(ClientError::ServerResponseError {
            code: 500,
            content: Some("canary".into()),
        });
        assert!(!format!("{error} {error:?} {error:#?}").contains("canary"));
    }
}
