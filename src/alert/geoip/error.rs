use crate::error::BoxError;

/// A database of countries cannot be used.
///
/// ```
/// use keyward::alert::{GeoipError, MaxMindCountries};
///
/// let error = MaxMindCountries::from_bytes(b"a page that says 404".to_vec()).unwrap_err();
/// assert!(matches!(error, GeoipError::Damaged { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeoipError {
    /// The file cannot be read.
    #[error("the database of countries cannot be read")]
    #[non_exhaustive]
    Unreadable {
        /// What the operating system said.
        source: std::io::Error,
    },

    /// It is no file of this format, or a damaged or cut one.
    #[error("the database of countries is damaged, or none")]
    #[non_exhaustive]
    Damaged {
        /// What is wrong.
        source: BoxError,
    },

    /// It is about something else than places.
    #[error("the database `{}` is not one of countries", name.escape_debug())]
    #[non_exhaustive]
    NotOfCountries {
        /// What it calls itself, up to 64 bytes.
        name: String,
    },
}

impl GeoipError {
    pub(super) fn damaged(source: impl Into<BoxError>) -> Self {
        Self::Damaged {
            source: source.into(),
        }
    }
}
