use std::time::Duration;

use crate::error::BoxError;

/// A webhook could not be set up, or an alert did not get through.
///
/// No text, cause or `Debug` output holds a secret, a signature, or the path and query of the address.
///
/// ```
/// use keyward::alert::{WebhookError, WebhookSink};
///
/// let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse()?;
/// let error = WebhookSink::builder("http://hooks.example.com/alerts", secret).build().unwrap_err();
/// assert!(matches!(error, WebhookError::PlainHttp));
/// # Ok::<(), WebhookError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The address is not `http://` or `https://` with a host, or it holds a name, a password or a fragment.
    #[error(
        "the webhook's address must be http:// or https:// and a host, without a user and a fragment"
    )]
    Address,
    /// `http://` to another machine: whoever listens in between reads the alerts.
    #[error("a webhook over http:// is for this machine only")]
    PlainHttp,
    /// The secret is not `whsec_` and the base64 of 24 to 64 bytes.
    #[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
    Secret,
    /// A setting cannot be used.
    #[error("the webhook setting `{name}` is unusable")]
    #[non_exhaustive]
    Setting {
        /// Which.
        name: &'static str,
    },
    /// The process has no TLS to use. Needed for `http://` too, because the HTTP client is built with TLS.
    #[error(
        "no rustls crypto provider is installed in this process: add the crate `rustls` with the feature `ring` and call \
         `rustls::crypto::ring::default_provider().install_default()` before"
    )]
    NoCryptoProvider,
    /// The root certificates are no PEM, or the HTTP client refused them.
    #[error("the root certificates for the webhook cannot be used")]
    Certificates,
    /// The receiver could not be reached, or did not answer in time.
    #[error("the webhook's receiver cannot be reached")]
    #[non_exhaustive]
    Unreachable {
        /// What the HTTP client said.
        source: BoxError,
    },
    /// The receiver answered with a failure.
    #[error("the webhook's receiver answered {status}")]
    #[non_exhaustive]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver did not take the alert in all the time there was.
    #[error("the webhook's receiver did not take the alert within {deadline:?}")]
    #[non_exhaustive]
    Deadline {
        /// The time.
        deadline: Duration,
    },
    /// The receiver answered 410 once: it wants no more alerts, and gets none.
    #[error("the webhook's receiver is gone")]
    Gone,
}
