use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A code as somebody typed it. `Debug` shows nothing, and the memory is wiped with the last clone.
///
/// ```
/// use keyward::second_factor::FactorCode;
///
/// let code = FactorCode::new("123456");
/// assert_eq!(format!("{code:?}"), "FactorCode([redacted])");
/// assert_eq!(code.expose(), "123456");
/// ```
#[derive(Clone)]
pub struct FactorCode(Arc<Zeroizing<String>>);

impl FactorCode {
    /// Wraps a code. Whether it is one is found out when it is verified.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(code.into())))
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FactorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorCode([redacted])")
    }
}
