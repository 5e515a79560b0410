//! What the seams' error types share.

/// The cause inside an error of another layer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
