/// The hash under a code.
///
/// ```
/// use keyward::second_factor::TotpAlgorithm;
///
/// assert_eq!(TotpAlgorithm::default(), TotpAlgorithm::Sha1);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TotpAlgorithm {
    /// HMAC-SHA-1: the only one that every authenticator app knows. Some take a URI that names another and compute
    /// with this one all the same. What is known against SHA-1 does not touch its HMAC.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl TotpAlgorithm {
    /// As long as the hash, as RFC 6238 §5.1 advises; RFC 4226 §4 asks for 160 bits.
    pub(super) const fn seed_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(super) const fn in_uris(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
            Self::Sha512 => 3,
        }
    }

    pub(super) const fn numbered(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha1),
            2 => Some(Self::Sha256),
            3 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(super) const fn arithmetic(self) -> totp_rs::Algorithm {
        match self {
            Self::Sha1 => totp_rs::Algorithm::SHA1,
            Self::Sha256 => totp_rs::Algorithm::SHA256,
            Self::Sha512 => totp_rs::Algorithm::SHA512,
        }
    }
}

/// How long a code is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TotpDigits {
    /// Six digits: the only length that every authenticator app knows.
    #[default]
    Six,
    /// Eight digits.
    Eight,
}

impl TotpDigits {
    pub(super) const fn count(self) -> u8 {
        match self {
            Self::Six => 6,
            Self::Eight => 8,
        }
    }

    pub(super) const fn counting(count: u8) -> Option<Self> {
        match count {
            6 => Some(Self::Six),
            8 => Some(Self::Eight),
            _ => None,
        }
    }
}
