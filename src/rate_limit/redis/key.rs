//! What a bucket is called in Redis.

use std::fmt::{self, Write};

use crate::rate_limit::{Charge, Subject};

/// The beginning of every key, escaped like the rest of it.
#[derive(Clone, Debug)]
pub(super) struct KeyPrefix(String);

impl KeyPrefix {
    pub(super) fn new(prefix: &str) -> Self {
        let mut escaped = String::new();
        // INVARIANT: writing into a string does not fail.
        let _ = Escaped(&mut escaped).write_str(prefix);
        Self(escaped)
    }

    /// Returns `prefix:{scope:id}:label`.
    ///
    /// Between the braces is what a cluster hashes, so all buckets of a subject are on one node. An id brings no brace of its
    /// own and ends at the first: two subjects, or two labels, never have one name, and no id is hashed by a part of it.
    pub(super) fn key(&self, charge: &Charge<'_>) -> String {
        let label = charge.quota().bucket_label();
        let mut key = String::with_capacity(self.0.len() + label.len() + 48);
        key.push_str(&self.0);
        key.push_str(":{");
        push_subject(&mut key, charge.subject());
        key.push_str("}:");
        key.push_str(label);
        key
    }
}

fn push_subject(key: &mut String, subject: Subject<'_>) {
    // INVARIANT: writing into a string does not fail.
    let _ = write!(Escaped(key), "{subject}");
}

/// Passes printable ASCII through, but for braces, and writes everything else as `%` and two hex digits a byte.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'%');
        if text.bytes().all(plain) {
            self.0.push_str(text);
            return Ok(());
        }
        for byte in text.bytes() {
            if plain(byte) {
                self.0.push(char::from(byte));
            } else {
                write!(self.0, "%{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Quota;

    fn key(prefix: &str, subject: Subject<'_>, label: &str) -> String {
        let quota = Quota::per_minute(60).unwrap().in_bucket(label).unwrap();
        KeyPrefix::new(prefix).key(&Charge::new(subject, &quota))
    }

    #[test]
    fn names_the_subject_and_the_label() {
        let named = key("keyward", Subject::key("3Fq9xT0bLm2A"), "minute");
        assert_eq!(named, "keyward:{key:3Fq9xT0bLm2A}:minute");
        let network = key("a:b", Subject::ip("2001:db8::1".parse().unwrap()), "day");
        assert_eq!(network, "a:b:{ip:2001:db8::/64}:day");
    }

    #[test]
    fn an_id_brings_no_hash_tag_of_its_own() {
        let hostile = key("k", Subject::tenant("}{key:3Fq9xT0bLm2A}"), "minute");
        assert_eq!(hostile, "k:{tenant:%7d%7bkey:3Fq9xT0bLm2A%7d}:minute");
        let empty = key("k", Subject::tenant(""), "minute");
        assert_eq!(empty, "k:{tenant:}:minute", "a tag that is not empty");
    }

    #[test]
    fn an_escape_is_told_from_what_looks_like_one() {
        let (brace, text) = (Subject::owner("{"), Subject::owner("%7b"));
        assert_eq!(key("k", brace, "m"), "k:{owner:%7b}:m");
        assert_eq!(key("k", text, "m"), "k:{owner:%257b}:m");
    }

    #[test]
    fn other_text_is_written_byte_by_byte() {
        let named = key("k", Subject::owner("é\n \0"), "m");
        assert_eq!(named, "k:{owner:%c3%a9%0a%20%00}:m");
    }

    #[test]
    fn a_prefix_cannot_take_the_place_of_the_hash_tag() {
        assert_eq!(key("{x}", Subject::key("a"), "m"), "%7bx%7d:{key:a}:m");
    }
}
