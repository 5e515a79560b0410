//! The client's certificate, as a trusted proxy writes it: `Client-Cert` (RFC 9440).

use ::http::HeaderMap;
use ::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::key::Thumbprint;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The longest field that is read. Certificates have 1 to 2 kB, with post-quantum signatures some 8, and base64 adds a
/// third.
const MAX_FIELD: usize = 16 * 1024;

/// RFC 8941 (§4.2.7) asks readers to let missing padding and stray bits behind the last byte pass.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request says of its client's certificate cannot be believed.
///
/// [`ClientAddressLayer`](super::ClientAddressLayer) puts it into the request's extensions, and
/// [`AuthenticateLayer`](super::AuthenticateLayer) answers such a request with 400 and writes it down.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertError {
    /// Somebody who is no trusted proxy sent `Client-Cert`.
    #[error("`Client-Cert` from somebody who is no trusted proxy")]
    Untrusted,
    /// A trusted proxy sent a field that stands twice, is too long, or holds no certificate.
    #[error("`Client-Cert` is not one certificate in base64 between colons")]
    Malformed,
}

impl ClientCertError {
    /// Returns the reason as one lower-case word, stable, for logs and the audit trail. Not for clients.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Untrusted => "client_cert_untrusted",
            Self::Malformed => "client_cert_malformed",
        }
    }
}

/// Returns whether the request says anything of a certificate, in whatever form.
pub(super) fn is_told(headers: &HeaderMap) -> bool {
    headers.contains_key(CLIENT_CERT)
}

/// Reads the certificate that the request says its client has shown.
pub(super) fn told(headers: &HeaderMap) -> Result<Option<Thumbprint>, ClientCertError> {
    let mut fields = headers.get_all(CLIENT_CERT).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    let only = fields.next().is_none().then_some(field);
    let read = only.and_then(read).ok_or(ClientCertError::Malformed)?;
    Ok(Some(read))
}

/// Takes the fields out of the request, so that no handler believes them from somebody else.
pub(super) fn remove(headers: &mut HeaderMap) {
    headers.remove(CLIENT_CERT);
    headers.remove(CLIENT_CERT_CHAIN);
}

fn read(field: &HeaderValue) -> Option<Thumbprint> {
    let text = Some(field.as_bytes()).filter(|text| text.len() <= MAX_FIELD)?;
    let base64 = text.trim_ascii().strip_prefix(b":")?.strip_suffix(b":")?;
    let der = BASE64.decode(base64).ok()?;
    is_one_sequence(&der).then(|| Thumbprint::of_certificate(&der))
}

/// Whether the bytes are one DER sequence and nothing else: what a certificate is from outside. Its inside is the business
/// of the proxy that accepted it; this tells a whole certificate from one that was cut off, and from PEM.
fn is_one_sequence(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let Some(size) = first.checked_sub(0x80) else {
        return rest.len() == usize::from(*first);
    };
    let Some((length, content)) = rest.split_at_checked(usize::from(size)) else {
        return false;
    };
    let is_shortest = (1..=4).contains(&size) && length.first() != Some(&0);
    let length = length
        .iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    is_shortest && length >= 0x80 && u64::try_from(content.len()) == Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9440, appendix A.
    const EXAMPLE: &str = concat!(
        ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZ",
        "BgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJ",
        "BgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vd",
        "gJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAW",
        "gBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYD",
        "VR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6Y",
        "K0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:",
    );
    /// Its SHA-256, as openssl prints it.
    const FINGERPRINT: [u8; 32] = [
        0xbf, 0xaf, 0x1f, 0x7e, 0x07, 0x0f, 0x9f, 0xa8, 0xdd, 0x62, 0x90, 0x5f, 0x15, 0x8d, 0xa7,
        0x3f, 0x84, 0xa1, 0x13, 0x66, 0x24, 0xfb, 0xaf, 0xcc, 0x93, 0x93, 0xc8, 0xf7, 0x28, 0x7a,
        0x69, 0xeb,
    ];

    fn read_text(text: &str) -> Option<Thumbprint> {
        read(&HeaderValue::from_str(text).unwrap())
    }

    fn field(der: &[u8]) -> String {
        format!(":{}:", BASE64.encode(der))
    }

    #[test]
    fn reads_the_example_of_rfc_9440() {
        let shown = Some(Thumbprint::new(FINGERPRINT));
        assert_eq!(read_text(EXAMPLE), shown);
        assert_eq!(read_text(&format!(" {EXAMPLE}\t")), shown);
        assert_eq!(read_text(&EXAMPLE.replace('=', "")), shown);
        // Stray bits behind the last byte.
        assert_eq!(read_text(&EXAMPLE.replace("yhk=", "yhl=")), shown);
    }

    #[test]
    fn reads_nothing_into_anything_else() {
        let bare = EXAMPLE.trim_matches(':');
        for text in [
            String::new(),
            ":".into(),
            "::".into(),
            bare.into(),
            format!(":{bare}"),
            format!("{bare}:"),
            format!("\"{bare}\""),
            format!("{EXAMPLE};a=1"),
            format!("{EXAMPLE}, {EXAMPLE}"),
            EXAMPLE.replace("MIIB", "MII*"),
            EXAMPLE.replace("yhk=", "yhk=="),
            EXAMPLE.replace('+', "-").replace('/', "_"),
            EXAMPLE.replace("MIIBqDCC", "MIIBqDC C"),
            // Cut off, and with something behind it.
            EXAMPLE.replace("ydBVoU4hBVZ1yhk=", ""),
            EXAMPLE.replace("yhk=", "yhkAAAA="),
            field(b"-----BEGIN CERTIFICATE-----"),
        ] {
            assert_eq!(read_text(&text), None, "{text}");
        }
    }

    #[test]
    fn takes_one_whole_sequence_only() {
        let long = |head: &[u8], size: usize| [head, &vec![0; size]].concat();
        for der in [
            vec![0x30, 0],
            long(&[0x30, 0x7f], 127),
            long(&[0x30, 0x81, 0x80], 128),
            long(&[0x30, 0x82, 1, 0], 256),
        ] {
            assert!(is_one_sequence(&der), "{der:?}");
        }
        for der in [
            vec![],
            vec![0x30],
            vec![0x31, 0],
            vec![0x30, 1],
            vec![0x30, 0, 0],
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x81],
            long(&[0x30, 0x81, 0x7f], 127),
            long(&[0x30, 0x82, 0, 0x80], 128),
            long(&[0x30, 0x82, 1, 0], 255),
            long(&[0x30, 0x85, 0, 0, 0, 1, 0], 256),
            long(&[0x30, 0x85, 1, 0, 0, 0, 0], 256),
            vec![0xff; 300],
        ] {
            assert!(!is_one_sequence(&der), "{der:?}");
        }
    }

    #[test]
    fn reads_16_kib_and_not_a_byte_more() {
        // 12 285 bytes are 16 380 characters, and two colons.
        let der = |size: u16| {
            let [high, low] = (size - 4).to_be_bytes();
            [vec![0x30, 0x82, high, low], vec![0; size.into()]].concat()[..size.into()].to_vec()
        };
        assert_eq!(field(&der(12_285)).len(), MAX_FIELD - 2);
        assert!(read_text(&field(&der(12_285))).is_some());
        assert!(read_text(&field(&der(12_288))).is_none());
        let padded = |blanks| format!("{}{}", field(&der(12_285)), " ".repeat(blanks));
        assert!(read_text(&padded(2)).is_some());
        assert!(read_text(&padded(3)).is_none());
    }
}
