use std::fmt;
use std::time::Duration;

use crate::access::TenantBinding;
use crate::key::{Environment, Generation, KeyId, KeyRecord, OwnerId};
use crate::time::Timestamp;

/// Something the owner of a key should know. Public facts only: no secret, no digest.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// Under which it is remembered.
    pub id: NoticeId,
    /// What people call the key. A user chose it: escape it.
    pub name: String,
    /// Whom to tell.
    pub owner: OwnerId,
    /// The key's tenant.
    pub tenant: TenantBinding,
    /// The key's environment.
    pub environment: Environment,
    /// The form of the key for lists, `pm_live_…a1B2`, where its last characters are known.
    pub hint: Option<String>,
    /// What is the matter.
    pub subject: NoticeSubject,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NoticeSubject {
    /// The key ends soon.
    Expiring {
        /// The threshold that was passed: it ends within that time.
        within: Duration,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The key's secret is old enough to be changed.
    RotationDue {
        /// When the secret was made.
        since: Timestamp,
    },
    /// The key's secret will be refused for its age.
    RotationEnforced {
        /// The threshold that was passed: it is refused within that time, or already.
        within: Duration,
        /// From when on it is refused.
        refused_from: Timestamp,
    },
    /// Nobody uses the key.
    Unused {
        /// When it was last used, or issued.
        since: Timestamp,
    },
}

impl NoticeSubject {
    /// Returns the subject as one lower-case word, stable, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expiring { .. } => "expiring",
            Self::RotationDue { .. } => "rotation_due",
            Self::RotationEnforced { .. } => "rotation_enforced",
            Self::Unused { .. } => "unused",
        }
    }
}

impl fmt::Display for NoticeSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expiring { expires_at, .. } => write!(f, "ends at {expires_at}"),
            Self::RotationDue { since } => write!(f, "has had its secret since {since}: rotate it"),
            Self::RotationEnforced { refused_from, .. } => {
                write!(
                    f,
                    "has a secret that is refused from {refused_from} on: rotate it"
                )
            }
            Self::Unused { since } => write!(f, "was not used since {since}"),
        }
    }
}

/// What a notice is remembered by: the key, and what about it.
///
/// Another expiry, another secret and another last use make another notice.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NoticeId {
    key: KeyId,
    topic: String,
}

impl NoticeId {
    /// Returns the id of a key's notice. The topic is any text of up to 128 bytes that tells its notices apart.
    pub fn new(key: KeyId, topic: impl Into<String>) -> Self {
        let topic = topic.into();
        Self { key, topic }
    }

    pub(crate) fn expiring(record: &KeyRecord, within: Duration, expires_at: Timestamp) -> Self {
        let (within, at) = (within.as_micros(), expires_at.as_micros());
        Self::new(record.id, format!("expiring/{within}/{at}"))
    }

    pub(crate) fn rotation_due(record: &KeyRecord, generation: Generation) -> Self {
        Self::new(record.id, format!("rotation_due/{generation}"))
    }

    pub(crate) fn rotation_enforced(
        record: &KeyRecord,
        within: Duration,
        refused_from: Timestamp,
    ) -> Self {
        let (secret, within) = (record.current.generation, within.as_micros());
        let from = refused_from.as_micros();
        Self::new(
            record.id,
            format!("rotation_enforced/{secret}/{within}/{from}"),
        )
    }

    pub(crate) fn unused(record: &KeyRecord, since: Timestamp) -> Self {
        Self::new(record.id, format!("unused/{}", since.as_micros()))
    }

    /// Returns the key.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Returns what tells the notices of one key apart.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key, self.topic)
    }
}
