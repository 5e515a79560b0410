use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::WebhookError;

const PREFIX: &str = "whsec_";
/// 192 to 512 bits, says the specification.
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a receiver knows the sender by: `whsec_` and the base64 of 24 to 64 random bytes, as Standard Webhooks writes it.
///
/// `openssl rand -base64 32` makes one. Each receiver has its own.
///
/// ```
/// use keyward::alert::WebhookSecret;
///
/// let secret: WebhookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse()?;
/// assert_eq!(format!("{secret:?}"), "WebhookSecret(..)");
/// assert!("whsec_dG9vIHNob3J0".parse::<WebhookSecret>().is_err());
/// # Ok::<(), keyward::alert::WebhookError>(())
/// ```
#[derive(Clone)]
pub struct WebhookSecret {
    /// The key, absorbed. Wiped on drop.
    state: Hmac<Sha256>,
}

impl WebhookSecret {
    /// Returns the signature as it stands in the header.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut state = self.state.clone();
        state.update(format!("{id}.{seconds}.").as_bytes());
        state.update(body);
        format!("v1,{}", STANDARD.encode(state.finalize().into_bytes()))
    }
}

impl FromStr for WebhookSecret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(WebhookError::Secret)?;
        // SECURITY: the cause would name a character of the secret.
        let key = STANDARD
            .decode(encoded)
            .map(Zeroizing::new)
            .map_err(|_| WebhookError::Secret)?;
        if !SIZES.contains(&key.len()) {
            return Err(WebhookError::Secret);
        }
        let state = Hmac::new_from_slice(&key).map_err(|_| WebhookError::Secret)?;
        Ok(Self { state })
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of the specification's own libraries.
    #[test]
    fn signs_as_the_specification_does() {
        let secret: WebhookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            secret.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn takes_24_to_64_bytes_of_base64_and_nothing_else() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for good in [24, 32, 64] {
            assert!(of(good).parse::<WebhookSecret>().is_ok(), "{good}");
        }
        let bare = of(32).trim_start_matches(PREFIX).to_owned();
        let blank = format!("{} ", of(32));
        for bad in [&of(23), &of(65), &bare, &blank, "", "whsec_", "whsec_!"] {
            assert!(bad.parse::<WebhookSecret>().is_err(), "{bad:?}");
        }
    }
}
