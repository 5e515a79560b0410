use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::FactError;

/// SHA-256 of a client certificate in DER form (`x5t#S256`, RFC 8705 §3.1).
///
/// It stands for the certificate and not for its key pair: a renewed certificate has another one, with the same key pair
/// too. Whether a certificate is in time, and whose it is, the TLS layer has checked before.
///
/// ```
/// use keyward::key::Thumbprint;
///
/// let shown = Thumbprint::of_certificate(b"the certificate's DER, as TLS gave it");
/// assert_eq!(shown.to_string().len(), 43);
/// assert_eq!(shown.to_string().parse(), Ok(shown));
/// ```
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Returns the thumbprint with those bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the thumbprint of that certificate: what rustls calls `peer_certificates()`, the first of them.
    ///
    /// Whatever bytes are given are hashed; nothing is read into them.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = FactError;

    fn from_str(text: &str) -> Result<Self, FactError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| FactError::Thumbprint)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FactError::Thumbprint)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn hashes_the_certificate_of_rfc_8705_to_the_thumbprint_given_there() {
        let der = STANDARD.decode(concat!(
            "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx",
            "ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG",
            "SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ",
            "/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID",
            "SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV",
            "bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=",
        ));
        let thumbprint = Thumbprint::of_certificate(&der.unwrap());
        let given = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
        assert_eq!(thumbprint.to_string(), given);
    }

    #[test]
    fn writes_a_thumbprint_as_43_characters() {
        // RFC 8705, appendix A.
        let text = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
        let thumbprint: Thumbprint = text.parse().unwrap();
        assert_eq!(thumbprint.to_string(), text);
        assert_eq!(format!("{thumbprint:?}"), format!("Thumbprint({text})"));
        let json = serde_json::to_string(&thumbprint).unwrap();
        assert_eq!(
            serde_json::from_str::<Thumbprint>(&json).unwrap(),
            thumbprint
        );
        assert_eq!(Thumbprint::new([0; 32]).to_string(), "A".repeat(43));
    }

    #[test]
    fn refuses_other_texts_as_thumbprints() {
        for text in [
            String::new(),
            "A".repeat(42),
            "A".repeat(44),
            format!("{}=", "A".repeat(43)),
            format!("{}B", "A".repeat(42)),
            format!("{}+", "A".repeat(42)),
            // The example of section 3.1 has bits behind the last byte; its bytes have another text, which is read.
            "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2".into(),
            format!("{} ", "A".repeat(42)),
            "00".repeat(32),
        ] {
            assert_eq!(
                text.parse::<Thumbprint>(),
                Err(FactError::Thumbprint),
                "{text}"
            );
        }
    }
}
