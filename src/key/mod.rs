//! The credential itself: grammar, secret, record and state. No input or output.
//!
//! [`KeyFormat`] makes keys and reads them; everything else here is a piece of a key. What a key looks like, why, and
//! what is refused is written down in `docs/key-format.md`.

mod base62;
mod canonical;
mod checksum;
mod credential;
mod decimal;
mod environment;
mod error;
mod facts;
mod format;
mod generate;
mod hint;
mod id;
mod lead;
mod owner;
mod parse;
mod prefix;
mod record;
mod secret;
mod state;
mod style;
mod tag;
mod text;
mod thumbprint;

pub use crate::kind::KeyKind;
pub use crate::networks::{NetworkError, Networks};

pub(crate) use canonical::canonical;
pub use credential::{Credential, CredentialEnd, Generation};
pub use environment::Environment;
pub use error::{
    EnvironmentError, GenerateError, HintTailError, KeyFormatError, KeyIdError, KeyParseError,
    OwnerIdError, PrefixError, TagKeyError,
};
pub use facts::{ActorRef, FactError, Metadata};
pub use format::{KeyFormat, KeyFormatBuilder};
pub use generate::GeneratedKey;
pub use hint::HintTail;
pub use id::KeyId;
pub(crate) use lead::{PUBLISHABLE, lead_of};
pub use owner::OwnerId;
pub use parse::ParsedKey;
pub use prefix::Prefix;
pub use record::{KeyRecord, LastUse, Revocation};
pub use secret::{PresentedSecret, SecretKey};
pub use state::{KeyStatus, Revision, TierOverride};
pub use style::KeyStyle;
pub use tag::{TagKey, TagPolicy, TagRing, TagStatus};
pub use thumbprint::Thumbprint;
