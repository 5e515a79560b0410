use crate::BoxError;

/// A store of second factors could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactorStoreError {
    /// What is kept is not what the caller read. Read it again and decide anew.
    #[error("the second factor was changed meanwhile")]
    Conflict,
    /// The engine cannot be reached or took too long. Trying again later may help.
    #[error("the `{store}` store of second factors is unavailable")]
    Unavailable {
        /// The store's name.
        store: &'static str,
        /// What the engine said.
        #[source]
        source: BoxError,
    },
    /// The engine refused in a way that trying again will not mend.
    #[error("the `{store}` store of second factors failed")]
    Backend {
        /// The store's name.
        store: &'static str,
        /// What the engine said.
        #[source]
        source: BoxError,
    },
}

impl FactorStoreError {
    /// Returns [`FactorStoreError::Unavailable`].
    pub fn unavailable(store: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Unavailable {
            store,
            source: source.into(),
        }
    }

    /// Returns [`FactorStoreError::Backend`].
    pub fn backend(store: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Backend {
            store,
            source: source.into(),
        }
    }
}
