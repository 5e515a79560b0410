//! Names that become part of a path.

use super::VaultError;

/// Longer names are mistakes.
const LONGEST: usize = 512;

/// Checks a path of one or more segments: letters, digits, `-`, `_` and `.`, with single slashes between them.
///
/// An empty segment would vanish on the way (`a//b` and `a/b` are one secret to Vault), `..` would be read by some
/// proxy, and other characters by some log.
pub(super) fn checked(name: &'static str, path: &str) -> Result<String, VaultError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let sound = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(plain) && !segment.bytes().all(|it| it == b'.')
    };
    if path.len() <= LONGEST && path.split('/').all(sound) {
        Ok(path.to_owned())
    } else {
        Err(VaultError::Setting { name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_paths_and_nothing_that_could_be_read_twice() {
        for path in ["secret", "kv/team-a", "a.b_c/V2"] {
            assert_eq!(checked("mount", path).unwrap(), path);
        }
        let long = "x".repeat(LONGEST + 1);
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a b", "a?b", "a#b", "a%2Fb", "a\\b",
            "é", "a\n", &long,
        ] {
            assert!(checked("mount", path).is_err(), "{path:?}");
        }
    }
}
