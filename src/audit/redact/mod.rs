//! Keys taken out of text.

mod rules;
mod scan;
mod symbol;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work;
mod writer;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use self::scan::{Finder, Found};
use self::symbol::End;
use crate::key::KeyFormat;

pub use self::writer::RedactingWriter;

/// What stands in place of a secret. Nothing in it needs an escape in JSON, a header or a shell, and no key goes on
/// behind a bracket.
const MARK: &[u8] = b"[redacted]";

/// Finds keys in any text and takes their secrets out.
///
/// What remains of a key is what is public, and a mark: `pm_live_0123456789AB[redacted]`. Keys are found wherever they
/// stand: in URLs, JSON and headers, glued to other words and to each other, percent-encoded up to three times over,
/// with or without a right checksum, of any environment. A text without keys is returned as it is, without a copy.
///
/// Other things stay: words, ids, hashes, UUIDs, the id of a key with its prefix. `docs/secret-scanning.md` tells how
/// much of a cut-off key counts as one, and what is not found.
///
/// The time taken is in proportion to the length of the text, whatever stands in it. Cloning shares.
///
/// ```
/// use keyward::audit::Redactor;
/// use keyward::key::KeyFormat;
///
/// let redactor = Redactor::new(&KeyFormat::default());
/// let line = "GET /?k=pm%5Flive%5F0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT&page=2";
/// assert_eq!(redactor.redact(line), "GET /?k=pm%5Flive%5F0123456789AB[redacted]&page=2");
/// ```
#[derive(Clone, Debug)]
pub struct Redactor(Arc<Finder>);

impl Redactor {
    /// Returns a redactor for keys of this prefix in every environment, in the styles that the format accepts.
    ///
    /// Tags do not matter: keys with and without one are found whatever the policy. Keys under another prefix, of before
    /// a change, need a redactor of their own; one can follow the other.
    #[must_use]
    pub fn new(format: &KeyFormat) -> Self {
        Self(Arc::new(Finder::new(format)))
    }

    /// Returns the text without the secrets in it.
    ///
    /// Doing it again changes nothing more.
    ///
    /// ```
    /// use std::borrow::Cow;
    ///
    /// use keyward::audit::Redactor;
    /// use keyward::key::KeyFormat;
    /// use keyward::random::OsRandom;
    ///
    /// let format = KeyFormat::default();
    /// let key = format.generate(&OsRandom::new())?;
    /// let redactor = Redactor::new(&format);
    ///
    /// let line = format!("Authorization: Bearer {}", key.plaintext().expose());
    /// let expected = format!("Authorization: Bearer pm_live_{}[redacted]", key.id());
    /// assert_eq!(redactor.redact(&line), expected);
    /// assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Nothing but ASCII is cut out, so this is UTF-8 as before.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Returns the bytes without the secrets in them. They need be no UTF-8.
    ///
    /// ```
    /// use keyward::audit::Redactor;
    /// use keyward::key::KeyFormat;
    ///
    /// let redactor = Redactor::new(&KeyFormat::default());
    /// let cut_off = b"\xffpm_test_0123456789ABCDEFGHIJ\xff";
    /// assert_eq!(*redactor.redact_bytes(cut_off), *b"\xffpm_test_0123456789AB[redacted]\xff");
    /// ```
    #[must_use]
    pub fn redact_bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let (mut clean, mut copied) = (Vec::new(), 0);
        for found in self.0.scan(text, End::Closed) {
            if let Found::Key { shown, end } = found {
                clean.extend_from_slice(text.get(copied..shown).unwrap_or_default());
                clean.extend_from_slice(MARK);
                copied = end;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        clean.extend_from_slice(text.get(copied..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Returns a writer that redacts what goes through it. A key is found also when it arrives in pieces.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// use keyward::audit::Redactor;
    /// use keyward::key::KeyFormat;
    ///
    /// let redactor = Redactor::new(&KeyFormat::default());
    /// let mut log = Vec::new();
    /// let mut writer = redactor.writer(&mut log);
    /// writer.write_all(b"key: pm_live_0123456789ABCDEFGHIJKLM")?;
    /// writer.write_all(b"NOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT\n")?;
    /// writer.finish()?;
    /// assert_eq!(log, b"key: pm_live_0123456789AB[redacted]\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn writer<W: io::Write>(&self, inner: W) -> RedactingWriter<W> {
        RedactingWriter::new(self.clone(), inner)
    }

    /// Returns a closure that wraps each writer that `make` makes: what `tracing-subscriber` takes in `with_writer`.
    ///
    /// All that an application logs through that layer is redacted, whoever logs it. Every layer that writes needs its own.
    ///
    /// ```
    /// use std::io;
    ///
    /// use keyward::audit::Redactor;
    /// use keyward::key::KeyFormat;
    ///
    /// let redactor = Redactor::new(&KeyFormat::default());
    /// let subscriber = tracing_subscriber::fmt()
    ///     .json()
    ///     .with_writer(redactor.writers(io::stderr))
    ///     .finish();
    /// # let _ = subscriber;
    /// ```
    ///
    /// A writer that is no function is cloned by one, such as the non-blocking one of `tracing-appender`:
    /// `redactor.writers(move || writer.clone())`.
    pub fn writers<W, F>(&self, make: F) -> impl Fn() -> RedactingWriter<W> + use<W, F>
    where
        W: io::Write,
        F: Fn() -> W,
    {
        let redactor = self.clone();
        move || redactor.writer(make())
    }
}
