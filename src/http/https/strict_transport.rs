use std::time::Duration;

use ::http::header::HeaderValue;

/// A year, the least that the common rule books and the browsers' preload list take.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What `Strict-Transport-Security` (RFC 6797) says: for how long a browser comes back encrypted only.
///
/// ```
/// use keyward::http::Hsts;
///
/// assert_eq!(Hsts::default().to_string(), "max-age=31536000");
/// assert_eq!(Hsts::default().include_subdomains().to_string(), "max-age=31536000; includeSubDomains");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hsts {
    max_age: Duration,
    subdomains: bool,
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: YEAR,
            subdomains: false,
        }
    }
}

impl Hsts {
    /// Sets the time, in whole seconds. Less than a year becomes a year.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age.max(YEAR);
        self
    }

    /// Includes all subdomains, those that do not speak TLS yet among them.
    #[must_use]
    pub const fn include_subdomains(mut self) -> Self {
        self.subdomains = true;
        self
    }

    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string())
            .unwrap_or(HeaderValue::from_static("max-age=31536000"))
    }
}

/// As in the header field.
impl std::fmt::Display for Hsts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "max-age={}", self.max_age.as_secs())?;
        if self.subdomains {
            f.write_str("; includeSubDomains")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_a_year_or_more() {
        let month = Hsts::default().max_age(Duration::from_secs(2_592_000));
        let two_years = Hsts::default().max_age(YEAR * 2);
        assert_eq!(month.to_string(), "max-age=31536000");
        assert_eq!(two_years.to_string(), "max-age=63072000");
    }
}
