use super::Cursor;
use crate::BoxError;

/// A store could not do what it was asked.
///
/// Named by what the caller can do about it. No variant means "no such key may pass": whoever sees one of these on a
/// path that grants something must refuse with an outage, not with "invalid key".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record with this id exists. Draw another id.
    #[error("a key with this id exists already")]
    AlreadyExists,
    /// The record has another revision than the one the caller read. Read it again and decide anew.
    #[error("the record was changed meanwhile")]
    Conflict,
    /// There is no record with this id.
    #[error("no key has this id")]
    NotFound,
    /// The owner has as many active keys as allowed.
    #[error("the owner has {limit} active keys already")]
    OwnerLimit {
        /// The limit that was asked for.
        limit: u32,
    },
    /// The store cannot do this; see its [`Capabilities`](super::Capabilities).
    #[error("the `{store}` store does not support {operation}")]
    Unsupported {
        /// The store's name.
        store: &'static str,
        /// What was asked.
        operation: &'static str,
    },
    /// What is stored cannot be read as a record. The key counts as unreadable, never as valid.
    #[error("the stored record cannot be read: `{field}`")]
    Corrupt {
        /// The field that could not be read.
        field: &'static str,
        /// Where it stands in the list that was asked for, if that can be told: whoever must not stop goes on behind it.
        place: Option<Cursor>,
        /// What was wrong with it.
        #[source]
        source: BoxError,
    },
    /// The engine cannot be reached, is full, or took too long. Trying again later may help.
    #[error("the `{store}` store is unavailable")]
    Unavailable {
        /// The store's name.
        store: &'static str,
        /// What the engine said.
        #[source]
        source: BoxError,
    },
    /// The engine refused in a way that trying again will not mend.
    #[error("the `{store}` store failed")]
    Backend {
        /// The store's name.
        store: &'static str,
        /// What the engine said.
        #[source]
        source: BoxError,
    },
}

impl StoreError {
    /// Returns [`StoreError::Unavailable`].
    pub fn unavailable(store: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            store,
            source: source.into(),
        }
    }

    /// Returns [`StoreError::Backend`].
    pub fn backend(store: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend {
            store,
            source: source.into(),
        }
    }

    /// Returns [`StoreError::Corrupt`].
    pub fn corrupt(field: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Corrupt {
            field,
            place: None,
            source: source.into(),
        }
    }

    /// Says where in its list the record stands that cannot be read. Other errors stay as they are.
    #[must_use]
    pub fn with_place(mut self, at: Cursor) -> Self {
        if let Self::Corrupt { place, .. } = &mut self {
            *place = Some(at);
        }
        self
    }

    /// Returns [`StoreError::Unsupported`].
    #[must_use]
    pub const fn unsupported(store: &'static str, operation: &'static str) -> Self {
        Self::Unsupported { store, operation }
    }

    /// Returns whether the store as such is out of order, so that the answer to the client is "try later".
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. }
                | Self::Unavailable { .. }
                | Self::Backend { .. }
                | Self::Unsupported { .. }
        )
    }
}
