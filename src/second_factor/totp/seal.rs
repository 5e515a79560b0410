use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::FactorError;
use super::state::State;
use crate::hash::PepperRing;
use crate::key::ActorRef;
use crate::random::SecureRandom;

/// Starts what is sealed; the version of its key follows.
const SEALED: &str = "s1";
/// Starts what is not.
const PLAIN: &str = "p1";
const NONCE: usize = 24;
/// Longer texts are nothing of ours, and are not decoded.
const LONGEST: usize = 4096;

/// How a state is kept from those who read or write the store.
#[derive(Debug)]
pub(super) enum Seal {
    /// XChaCha20-Poly1305, whose nonces are long enough to be drawn at random, under a key of its own that each pepper
    /// yields. Sealed for one actor: another's row opens for nobody.
    Ring(Arc<PepperRing>),
    /// Encoded only. Whoever reads the store can make codes.
    Plain,
}

#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error("the text has an unknown form")]
    Form,
    #[error("the text was not sealed for this actor under this key, or was changed")]
    Opened,
    #[error("the content has an unknown form")]
    Content,
    #[error("the text is not sealed, and only sealed ones are accepted")]
    Unsealed,
    #[error("the text is sealed, and no key is configured")]
    Keyless,
}

impl Seal {
    pub(super) fn close(
        &self,
        actor: &ActorRef,
        state: &State,
        random: &dyn SecureRandom,
    ) -> Result<String, FactorError> {
        let mut bytes = state.to_bytes();
        let Self::Ring(ring) = self else {
            return Ok(format!("{PLAIN}.{}", URL_SAFE_NO_PAD.encode(&*bytes)));
        };
        let (version, key) = ring.sealing_key(None).map_err(FactorError::unavailable)?;
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce)?;
        let sealed = cipher(&key).encrypt_in_place(
            &XNonce::from(nonce),
            bound_to(version, actor).as_bytes(),
            &mut *bytes,
        );
        sealed.map_err(FactorError::unavailable)?;
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_slice(), bytes.as_slice()].concat());
        Ok(format!("{SEALED}.{version}.{sealed}"))
    }

    pub(super) fn open(&self, actor: &ActorRef, text: &str) -> Result<State, FactorError> {
        let bytes = match (self, parse(text).map_err(FactorError::corrupt)?) {
            (Self::Ring(ring), Text::Sealed { version, sealed }) => {
                let (_, key) = ring
                    .sealing_key(Some(version))
                    .map_err(FactorError::unavailable)?;
                unseal(&key, version, actor, &sealed).map_err(FactorError::corrupt)?
            }
            (Self::Plain, Text::Plain(bytes)) => bytes,
            // SECURITY: whoever can write rows must not be able to plant a seed of their own by leaving the seal off.
            (Self::Ring(_), Text::Plain(_)) => {
                return Err(FactorError::corrupt(SealError::Unsealed));
            }
            (Self::Plain, Text::Sealed { .. }) => {
                return Err(FactorError::corrupt(SealError::Keyless));
            }
        };
        State::of_bytes(&bytes).ok_or_else(|| FactorError::corrupt(SealError::Content))
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// What the text is sealed for besides its content. No part can hold a NUL, so none can be moved into another.
fn bound_to(version: u32, actor: &ActorRef) -> String {
    format!("keyward/1/second-factor/totp\0{version}\0{actor}")
}

fn unseal(
    key: &[u8; 32],
    version: u32,
    actor: &ActorRef,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Form)?;
    let mut bytes = Zeroizing::new(rest.to_vec());
    let opened = cipher(key).decrypt_in_place(
        &XNonce::from(*nonce),
        bound_to(version, actor).as_bytes(),
        &mut *bytes,
    );
    opened.map_err(|_| SealError::Opened)?;
    Ok(bytes)
}

enum Text {
    Sealed { version: u32, sealed: Vec<u8> },
    Plain(Zeroizing<Vec<u8>>),
}

fn parse(text: &str) -> Result<Text, SealError> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Form);
    if text.len() > LONGEST {
        return Err(SealError::Form);
    }
    match text.split_once('.') {
        Some((SEALED, rest)) => {
            let (version, sealed) = rest.split_once('.').ok_or(SealError::Form)?;
            Ok(Text::Sealed {
                version: version.parse().map_err(|_| SealError::Form)?,
                sealed: decode(sealed)?,
            })
        }
        Some((PLAIN, rest)) => Ok(Text::Plain(Zeroizing::new(decode(rest)?))),
        Some(_) | None => Err(SealError::Form),
    }
}
