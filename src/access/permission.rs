//! The name of one thing that can be done.

use super::name::{NameError, check_length, checked_name};

checked_name! {
    /// The concrete name of one thing that can be done, such as `send_email` or `billing:invoice:read`.
    ///
    /// Segments `[a-z0-9][a-z0-9_.-]*` joined by colons, at most [`Permission::MAX_LEN`] bytes, never a wildcard. The
    /// words `and` and `or` are refused, because a requirement could not be written down with them. Names compare byte
    /// for byte; cloning one does not allocate. As serde data it is a string, checked when read.
    ///
    /// ```
    /// use keyward::access::Permission;
    ///
    /// # fn main() -> Result<(), keyward::access::NameError> {
    /// let read: Permission = "billing:invoice:read".parse()?;
    /// assert_eq!(read.as_str(), "billing:invoice:read");
    /// assert!("billing:*".parse::<Permission>().is_err());
    /// assert!("Billing:read".parse::<Permission>().is_err());
    /// # Ok(())
    /// # }
    /// ```
    Permission, check_permission
}

impl Permission {
    /// The most bytes a permission may have: long enough for six segments of words, short enough for a log line.
    pub const MAX_LEN: usize = 128;
}

/// Checks that `text` is a permission.
pub(super) fn check_permission(text: &str) -> Result<(), NameError> {
    check_length(text, Permission::MAX_LEN)?;
    check_segments(text)?;
    if is_operator(text) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Returns whether `text` is an operator of the text form of requirements.
fn is_operator(text: &str) -> bool {
    matches!(text, "and" | "or")
}

fn check_segments(text: &str) -> Result<(), NameError> {
    let mut at_start = true;
    for (at, byte) in text.bytes().enumerate() {
        at_start = match byte {
            b'a'..=b'z' | b'0'..=b'9' => false,
            b'_' | b'.' | b'-' if !at_start => false,
            b':' if !at_start => true,
            b':' => return Err(NameError::EmptySegment { at }),
            b'*' => return Err(NameError::Wildcard { at }),
            _ => return Err(NameError::BadCharacter { at }),
        };
    }
    if at_start {
        return Err(NameError::EmptySegment { at: text.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Permission, NameError> {
        text.parse()
    }

    #[test]
    fn accepts_segments_of_letters_digits_and_inner_marks() {
        for text in [
            "a",
            "0",
            "send_email",
            "api.v1:read",
            "a-:b.",
            "a:b:c:d",
            "android",
            "or:and",
        ] {
            assert_eq!(parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_is_outside_the_grammar_and_says_where() {
        let bad = |at| NameError::BadCharacter { at };
        for (text, error) in [
            ("", NameError::Empty),
            ("Read", bad(0)),
            ("re ad", bad(2)),
            ("read ", bad(4)),
            ("read\n", bad(4)),
            ("re\0", bad(2)),
            ("_read", bad(0)),
            ("a:.b", bad(2)),
            ("a/b", bad(1)),
            ("é", bad(0)),
            (":a", NameError::EmptySegment { at: 0 }),
            ("a::b", NameError::EmptySegment { at: 2 }),
            ("a:", NameError::EmptySegment { at: 2 }),
            ("*", NameError::Wildcard { at: 0 }),
            ("a:*", NameError::Wildcard { at: 2 }),
            ("and", NameError::Reserved),
            ("or", NameError::Reserved),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn takes_128_bytes_and_refuses_129() {
        assert!(parse(&"a".repeat(128)).is_ok());
        assert_eq!(
            parse(&"a".repeat(129)),
            Err(NameError::TooLong { max: 128 })
        );
    }

    #[test]
    fn is_a_checked_string_as_data() {
        let read = parse("leads:read").unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"leads:read\"");
        assert_eq!(
            serde_json::from_str::<Permission>("\"leads:read\"").unwrap(),
            read
        );
        assert!(serde_json::from_str::<Permission>("\"leads:*\"").is_err());
    }
}
