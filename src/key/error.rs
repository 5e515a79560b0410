use crate::random::RandomError;

/// Why a presented key was not understood. For logs, not for clients.
///
/// In the order of the checks: the first that fails answers. Holds nothing of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyParseError {
    /// No key has this length.
    #[error("the key has a wrong length")]
    Length,
    /// It begins with something else than this application's keys do.
    #[error("the key has another prefix")]
    Prefix,
    /// It has the shape and the prefix of this application's keys but names another environment.
    #[error("the key belongs to another environment")]
    WrongEnvironment,
    /// It has the shape of a style that this format does not accept.
    #[error("the key has a style that is not accepted")]
    Style,
    /// The body holds a byte outside `0-9A-Za-z`.
    #[error("the key holds a character outside the alphabet")]
    Character,
    /// The checksum does not fit: a typing error, or a guess.
    #[error("the key has a wrong checksum")]
    Checksum,
    /// It carries no tag, and this format demands one.
    #[error("the key carries no tag")]
    TagMissing,
    /// It carries a tag, and this format knows none.
    #[error("the key carries a tag that is not expected")]
    TagUnexpected,
    /// The tag fits no tag key: the key was not made here.
    #[error("the key has a forged tag")]
    Tag,
}

impl KeyParseError {
    /// Returns a code that stays the same across versions, for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length => "malformed_length",
            Self::Prefix => "malformed_prefix",
            Self::WrongEnvironment => "wrong_environment",
            Self::Style => "malformed_style",
            Self::Character => "malformed_character",
            Self::Checksum => "malformed_checksum",
            Self::TagMissing => "tag_missing",
            Self::TagUnexpected => "tag_unexpected",
            Self::Tag => "tag_forged",
        }
    }
}

/// Why no key was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The source of randomness failed.
    #[error("no randomness for a new key")]
    Random(#[from] RandomError),
    /// The source of randomness said yes but repeats itself. Nothing may be built on it.
    #[error("the source of randomness repeats itself")]
    StuckRandom,
    /// The id belongs to a style that the format does not accept, so the new key would be refused.
    #[error("the key id has a style that is not accepted")]
    Style,
    /// The format makes no keys of that kind, so the new key would be refused.
    #[error("the key is of a kind that is not accepted")]
    Kind,
}

/// Why a key format cannot be built.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFormatError {
    /// Tags are required, and compact keys, which have no room for one, would be accepted. An invented key would walk
    /// around the tag by being compact.
    #[error("compact keys cannot carry the tag that is required")]
    CompactCannotCarryTag,
    /// Keys can be publishable, which the word `pub` after the prefix says; and the environment is `pub`, or the prefix ends
    /// with that word. A secret key would look like one that may be published.
    #[error("`pub` says that a key is publishable: no other part may")]
    PublishableWord,
}

/// Why a text is no [`KeyId`](super::KeyId).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIdError {
    /// Neither 12 nor 8 bytes.
    #[error("a key id has 12 or 8 characters")]
    Length,
    /// A byte outside `0-9A-Za-z`.
    #[error("a key id holds only letters and digits")]
    Character,
}

/// Why a text is no [`OwnerId`](super::OwnerId).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerIdError {
    /// Empty, or longer than 255 bytes.
    #[error("an owner has 1 to 255 bytes")]
    Length,
    /// It holds a control character.
    #[error("an owner holds no control characters")]
    Control,
}

/// Why a text is no [`Prefix`](super::Prefix).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// Empty, or longer than 32 bytes.
    #[error("a prefix has 1 to 32 characters")]
    Length,
    /// A byte outside `0-9A-Za-z` and `_`.
    #[error("a prefix holds only letters, digits and underscores")]
    Character,
    /// It begins or ends with an underscore or holds two in a row.
    #[error("underscores stand singly inside a prefix")]
    Underscore,
}

/// Why a text is no [`Environment`](super::Environment).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Empty, or longer than 16 bytes.
    #[error("an environment has 1 to 16 characters")]
    Length,
    /// A byte outside `a-z` and `0-9`.
    #[error("an environment holds only small letters and digits")]
    Character,
}

/// Why a text is no [`HintTail`](super::HintTail): it is not four letters and digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a hint's tail has four letters and digits")]
#[non_exhaustive]
pub struct HintTailError;

impl HintTailError {
    pub(super) const fn new() -> Self {
        Self
    }
}

/// Why bytes are no [`TagKey`](super::TagKey): there are fewer than 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tag key has at least 32 bytes")]
#[non_exhaustive]
pub struct TagKeyError;

impl TagKeyError {
    pub(super) const fn new() -> Self {
        Self
    }
}
