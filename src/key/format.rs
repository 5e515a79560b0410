use super::lead::{self, Leads, lead_of};
use super::{
    Environment, HintTail, KeyFormatError, KeyKind, KeyStyle, Prefix, TagPolicy, checksum, tag,
};

/// How an application's keys look: makes them and reads them.
///
/// ```
/// use keyward::key::{KeyFormat, KeyParseError};
/// use keyward::random::OsRandom;
///
/// let format = KeyFormat::default();
/// let key = format.generate(&OsRandom::new())?;
///
/// let text = key.plaintext().expose();
/// assert_eq!(text.len(), 69);
/// assert_eq!(format.parse(text.as_bytes())?.id(), key.id());
/// assert_eq!(format.parse(b"pm_live_hello").err(), Some(KeyParseError::Length));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFormat {
    /// What stands before the body.
    leads: Leads,
    prefix: Prefix,
    environment: Environment,
    styles: Styles,
    tags: TagPolicy,
}

impl KeyFormat {
    /// The length of the longest key any format can make: 32 characters of prefix, 3 that say that it is publishable, 16
    /// of environment, an underscore after each, 12 of id, 43 of secret, 6 of tag, 6 of checksum. Whatever is longer is no
    /// key.
    pub const MAX_LEN: usize = lead::MAX_LEN + Shape::Tagged.len();
    /// The length of the shortest key any format can make.
    pub(super) const MIN_LEN: usize = 4 + Shape::Compact.len();

    /// Returns a builder for `pm_live_…` keys of the standard style without tags, each of which it can change.
    pub fn builder() -> KeyFormatBuilder {
        KeyFormatBuilder::default()
    }

    /// Returns what every key begins with.
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Returns the environment whose keys this format makes and accepts.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// Returns the style of new keys.
    #[must_use]
    pub const fn style(&self) -> KeyStyle {
        self.styles.new
    }

    /// Tells whether keys of this style are understood.
    #[must_use]
    pub const fn accepts(&self, style: KeyStyle) -> bool {
        match style {
            KeyStyle::Standard => self.styles.standard,
            KeyStyle::Compact => self.styles.compact,
        }
    }

    /// Tells whether keys of this kind are made and understood: secret ones always, publishable ones if the format was told
    /// so.
    #[must_use]
    pub const fn accepts_kind(&self, kind: KeyKind) -> bool {
        self.leads.knows(kind)
    }

    /// Returns what a list shows of a secret key: what it begins with, an ellipsis, the last four characters of its secret.
    #[must_use]
    pub fn hint(&self, tail: HintTail) -> String {
        self.hint_of(KeyKind::Secret, tail)
    }

    /// Returns what a list shows of a key of this kind: `pm_pub_live_…a1B2` of a publishable one.
    #[must_use]
    pub fn hint_of(&self, kind: KeyKind, tail: HintTail) -> String {
        let lead = lead_of(kind, &self.prefix, self.environment);
        format!("{lead}…{tail}")
    }

    /// Returns a regular expression for secret scanners that matches the secret keys of this format, and hardly anything
    /// else. Publishable keys are meant to be found: it passes over them.
    ///
    /// It uses no look-around, so every engine reads it. Keys with and without a tag match, whatever the tag policy: the
    /// rule outlives it. `docs/key-format.md` tells what else a scanner wants to know.
    ///
    /// ```
    /// use keyward::key::KeyFormat;
    ///
    /// assert_eq!(
    ///     KeyFormat::default().scanner_pattern(),
    ///     r"\bpm_live_(?:[0-9A-Za-z]{61}|[0-9A-Za-z]{67})\b"
    /// );
    /// ```
    #[must_use]
    pub fn scanner_pattern(&self) -> String {
        let bodies: Vec<String> = Shape::ALL
            .into_iter()
            .filter(|shape| self.accepts(shape.style()))
            .map(|shape| format!("[0-9A-Za-z]{{{}}}", shape.len()))
            .collect();
        let lead = lead_of(KeyKind::Secret, &self.prefix, self.environment);
        format!(r"\b{lead}(?:{})\b", bodies.join("|"))
    }

    pub(super) const fn leads(&self) -> &Leads {
        &self.leads
    }

    pub(super) const fn tags(&self) -> &TagPolicy {
        &self.tags
    }
}

/// `pm_live_…` keys of the standard style without tags.
impl Default for KeyFormat {
    fn default() -> Self {
        KeyFormatBuilder::default().assemble()
    }
}

/// Collects the settings of a [`KeyFormat`].
///
/// ```
/// use keyward::key::{Environment, KeyFormat, KeyStyle, Prefix};
///
/// let format = KeyFormat::builder()
///     .prefix(Prefix::new("acme")?)
///     .environment(Environment::test())
///     .also_accept(KeyStyle::Compact)
///     .build()?;
/// assert_eq!(format.style(), KeyStyle::Standard);
/// assert!(format.accepts(KeyStyle::Compact));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyFormatBuilder {
    prefix: Prefix,
    environment: Environment,
    styles: Styles,
    tags: TagPolicy,
    publishable: bool,
}

impl KeyFormatBuilder {
    /// Sets what every key begins with; `pm` unless set.
    pub const fn prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// Sets the environment; `live` unless set.
    pub const fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets the style of new keys; standard unless set. Keys of this style are accepted.
    pub const fn style(mut self, style: KeyStyle) -> Self {
        self.styles.new = style;
        self
    }

    /// Accepts keys of this style beside those of the style of new keys.
    pub const fn also_accept(mut self, style: KeyStyle) -> Self {
        self.styles.accept(style);
        self
    }

    /// Sets what is done about tags; nothing unless set.
    pub fn tags(mut self, tags: TagPolicy) -> Self {
        self.tags = tags;
        self
    }

    /// Makes and understands publishable keys as well, `pm_pub_live_…` beside `pm_live_…`; not unless set.
    /// `docs/publishable-keys.md` has what they are.
    ///
    /// ```
    /// use keyward::key::{KeyFormat, KeyKind};
    /// use keyward::random::OsRandom;
    ///
    /// let format = KeyFormat::builder().publishable().build()?;
    /// let key = format.generate_kind(KeyKind::Publishable, &OsRandom::new())?;
    /// assert!(key.plaintext().expose().starts_with("pm_pub_live_"));
    /// let parsed = format.parse(key.plaintext().expose().as_bytes())?;
    /// assert_eq!(parsed.kind(), KeyKind::Publishable);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn publishable(mut self) -> Self {
        self.publishable = true;
        self
    }

    /// Returns the format.
    ///
    /// # Errors
    ///
    /// * [`KeyFormatError::CompactCannotCarryTag`] when tags are required and compact keys accepted,
    /// * [`KeyFormatError::PublishableWord`] when keys can be publishable and the environment is `pub`, or the last word of
    ///   the prefix is.
    pub fn build(self) -> Result<KeyFormat, KeyFormatError> {
        if self.publishable {
            lead::check_publishable(&self.prefix, self.environment)?;
        }
        let format = self.assemble();
        if matches!(format.tags, TagPolicy::Required(_)) && format.styles.compact {
            return Err(KeyFormatError::CompactCannotCarryTag);
        }
        Ok(format)
    }

    fn assemble(mut self) -> KeyFormat {
        self.styles.accept(self.styles.new);
        KeyFormat {
            leads: Leads::new(&self.prefix, self.environment, self.publishable),
            prefix: self.prefix,
            environment: self.environment,
            styles: self.styles,
            tags: self.tags,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Styles {
    new: KeyStyle,
    standard: bool,
    compact: bool,
}

impl Styles {
    const fn accept(&mut self, style: KeyStyle) {
        match style {
            KeyStyle::Standard => self.standard = true,
            KeyStyle::Compact => self.compact = true,
        }
    }
}

/// What may follow prefix and environment. The length alone tells which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Standard,
    Tagged,
    Compact,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Standard, Self::Tagged, Self::Compact];

    pub(super) fn of_len(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.len() == len)
    }

    pub(super) const fn style(self) -> KeyStyle {
        match self {
            Self::Standard | Self::Tagged => KeyStyle::Standard,
            Self::Compact => KeyStyle::Compact,
        }
    }

    pub(super) const fn len(self) -> usize {
        let style = self.style();
        style.id_len() + style.secret_len() + self.tail_len()
    }

    /// Returns how many characters follow the secret.
    const fn tail_len(self) -> usize {
        match self {
            Self::Standard => checksum::LEN,
            Self::Tagged => tag::LEN + checksum::LEN,
            Self::Compact => 0,
        }
    }
}
