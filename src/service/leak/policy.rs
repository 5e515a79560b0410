use std::time::Duration;

use crate::service::BuildError;

/// What becomes of a key whose secret arrives where others can read it: in a URL, or over plain HTTP.
///
/// Whatever it says, the request is refused, and the trail names the key that it claims to be. The rest follows once the
/// secret is proved, once a secret. It is about the secret that was seen: an outgoing one that is seen during the grace of a
/// rotation ends, and the one that replaced it lives on.
///
/// ```
/// use std::time::Duration;
/// use keyward::service::ExposurePolicy;
/// use keyward::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let day = Duration::from_secs(24 * 60 * 60);
/// let service = keyward::KeyService::builder(MemoryStore::new())
///     .exposure_policy(ExposurePolicy::Grace(day))
///     .build()?;
/// # service.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// Under [`Grace`](Self::Grace) and [`Revoke`](Self::Revoke), whoever holds a secret can end it by sending it in a URL. That is
/// what is wanted of a thief's; but a reader of logs can do so too, at night.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExposurePolicy {
    /// An event in the trail, and so an alert: once a secret and process. The record stays as it is.
    Report,
    /// The key is [marked as exposed](crate::key::KeyRecord::exposed_at), and stands in the review of exposed keys until its
    /// next secret. It lives on.
    #[default]
    Flag,
    /// As [`Flag`](Self::Flag), and the secret ends after that time: at least a second, at most
    /// [`LONGEST_GRACE`](Self::LONGEST_GRACE). Never later than it would have ended anyway, so being seen again moves nothing.
    ///
    /// The secret ends, not the key: rotate it meanwhile, and id, settings and limits stay. A rotation does not move the end
    /// out, and the new secret has none.
    Grace(Duration),
    /// The key is marked and revoked (`exposed`), as by [`KeyService::revoke`](crate::KeyService::revoke): at once, for good, and
    /// whether or not the trail can be written. Of a key that is being rotated, an outgoing secret ends alone.
    Revoke,
}

impl ExposurePolicy {
    /// A week. A secret that others know for longer than that is not on its way out.
    pub const LONGEST_GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Less is a revocation that cannot be seen coming.
    const SHORTEST_GRACE: Duration = Duration::from_secs(1);

    pub(in crate::service) fn check(self) -> Result<(), BuildError> {
        match self {
            Self::Grace(grace)
                if !(Self::SHORTEST_GRACE..=Self::LONGEST_GRACE).contains(&grace) =>
            {
                Err(BuildError::ExposureGrace { grace })
            }
            Self::Report | Self::Flag | Self::Grace(_) | Self::Revoke => Ok(()),
        }
    }
}
