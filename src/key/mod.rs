//! The credential itself: grammar, secret, record and state. No input or output.
//!
//! [`KeyFormat`] makes keys and reads them; everything else here is a piece of a key. What a key looks like, why, and
//! what is refused is written down in `docs/key-format.md`.

mod base62;
mod checksum;
mod environment;
mod error;
mod format;
mod generate;
mod hint;
mod id;
mod owner;
mod parse;
mod prefix;
mod secret;
mod style;
mod tag;
mod text;

pub use environment::Environment;
pub use error::{
    EnvironmentError, GenerateError, HintTailError, KeyFormatError, KeyIdError, KeyParseError,
    OwnerIdError, PrefixError, TagKeyError,
};
pub use format::{KeyFormat, KeyFormatBuilder};
pub use generate::GeneratedKey;
pub use hint::HintTail;
pub use id::KeyId;
pub use owner::OwnerId;
pub use parse::ParsedKey;
pub use prefix::Prefix;
pub use secret::{PresentedSecret, SecretKey};
pub use style::KeyStyle;
pub use tag::{TagKey, TagPolicy, TagRing, TagStatus};
