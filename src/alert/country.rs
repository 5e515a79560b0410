use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// A country, by its two-letter code (ISO 3166-1 alpha-2). Whether the code is assigned is not checked.
///
/// ```
/// use keyward::alert::Country;
///
/// let country: Country = "DE".parse()?;
/// assert_eq!(country.as_str(), "DE");
/// assert!("de".parse::<Country>().is_err());
/// # Ok::<(), keyward::alert::InvalidCountry>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Country([u8; 2]);

/// The text is not two capital letters.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the two-letter code of a country")]
#[non_exhaustive]
pub struct InvalidCountry;

impl Country {
    /// Returns the two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: two ASCII letters.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Country {
    type Err = InvalidCountry;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        match code.as_bytes() {
            [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Ok(Self([*first, *second])),
            _ => Err(InvalidCountry),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells in which country an address is.
///
/// # For implementors
///
/// It is asked on the task that writes the audit trail: answer from memory, and never wait. What is not known, whatever the
/// reason, is `None`, and `None` never raises an alert.
///
/// ```
/// use std::net::IpAddr;
/// use keyward::alert::{Country, CountryResolver};
///
/// /// Knows one network.
/// #[derive(Debug)]
/// struct Office(Country);
///
/// impl CountryResolver for Office {
///     fn country(&self, address: IpAddr) -> Option<Country> {
///         matches!(address, IpAddr::V4(v4) if v4.octets().starts_with(&[192, 0, 2])).then_some(self.0)
///     }
/// }
///
/// let office = Office("CH".parse()?);
/// assert_eq!(office.country([192, 0, 2, 7].into()).map(|it| it.to_string()), Some("CH".to_owned()));
/// assert_eq!(office.country([203, 0, 113, 7].into()), None);
/// # Ok::<(), keyward::alert::InvalidCountry>(())
/// ```
pub trait CountryResolver: Debug + Send + Sync + 'static {
    /// Returns the country, if it is known.
    fn country(&self, address: IpAddr) -> Option<Country>;
}

/// Forwards to what the pointer holds.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<R: CountryResolver + ?Sized> CountryResolver for $pointer<R> {
            fn country(&self, address: IpAddr) -> Option<Country> {
                (**self).country(address)
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Resolvers are chosen at run time.
const _: fn(&dyn CountryResolver) = |_| {};
