use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::AuditEvent;
use crate::audit::AuditError;

impl AuditEvent {
    /// Returns the event as one JSON object on one line, without a line end: the form of `docs/audit.md`.
    ///
    /// Besides what JSON demands, everything a terminal, an editor or a log collector could take for a line end or
    /// for a change of direction is escaped: all control characters, U+2028, U+2029 and the bidirectional controls.
    ///
    /// # Errors
    ///
    /// [`AuditError::Backend`] if the event cannot be written as JSON, which no event of this crate has a reason for.
    pub fn to_line(&self) -> Result<String, AuditError> {
        let mut line = Vec::with_capacity(512);
        self.write_line(&mut line)?;
        String::from_utf8(line).map_err(|error| AuditError::backend("json", error))
    }

    /// Appends what [`AuditEvent::to_line`] returns.
    pub(in crate::audit) fn write_line(&self, out: &mut Vec<u8>) -> Result<(), AuditError> {
        write_json(self, out).map_err(|error| AuditError::backend("json", error))
    }
}

/// Appends a value as JSON that cannot leave its line.
pub(crate) fn write_json(value: &impl Serialize, out: &mut Vec<u8>) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, OneLine))
}

/// Returns the text as it would stand between the quotes of a JSON string, so that it cannot leave its line.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !is_escaped(c) && !matches!(c, '"' | '\\');
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut quoted = Vec::with_capacity(text.len().saturating_mul(2));
    let written = text.serialize(&mut Serializer::with_formatter(&mut quoted, OneLine));
    let inner = quoted
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    match (written, inner) {
        (Ok(()), Some(inner)) => Cow::Owned(String::from_utf8_lossy(inner).into_owned()),
        _ => Cow::Borrowed(""),
    }
}

/// JSON without blanks, whose strings cannot leave their line. The characters below U+0020 are already escaped when
/// they get here.
#[derive(Debug)]
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((before, found, after)) = split_at_escaped(rest) {
            writer.write_all(before.as_bytes())?;
            write!(writer, "\\u{:04x}", u32::from(found))?;
            rest = after;
        }
        writer.write_all(rest.as_bytes())
    }
}

fn split_at_escaped(text: &str) -> Option<(&str, char, &str)> {
    let (at, found) = text.char_indices().find(|(_, c)| is_escaped(*c))?;
    let (before, rest) = text.split_at_checked(at)?;
    let after = rest.get(found.len_utf8()..)?;
    Some((before, found, after))
}

/// All of them lie below U+10000, so that four hexadecimal digits are enough.
const fn is_escaped(c: char) -> bool {
    matches!(
        c,
        // C0, DEL, C1 (with U+0085, next line)
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // line and paragraph separator
        | '\u{2028}' | '\u{2029}'
        // bidirectional marks, embeddings, overrides and isolates (Unicode Bidi_Control)
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}
