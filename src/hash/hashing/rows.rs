use super::Hashing;
use crate::hash::{HashError, RowBinding};

/// What binds stored rows. A row is any bytes here; the same row must have the same bytes wherever it is read.
impl Hashing {
    /// Binds a row under the current pepper.
    pub(crate) fn bind_row(&self, row: &[u8]) -> Result<RowBinding, HashError> {
        let ring = self.peppers(0)?;
        ring.with_newest(|pepper| RowBinding::new(pepper.version(), pepper.row_binding(row)))
    }

    /// Returns whether the binding is that of the row.
    ///
    /// SECURITY: without its pepper nothing is known, which is an error and no answer. A text that could not be read has no
    /// pepper anywhere, and is no binding.
    pub(crate) fn check_row(&self, row: &[u8], binding: &RowBinding) -> Result<bool, HashError> {
        let version = binding.version();
        if version == 0 {
            return Ok(false);
        }
        self.peppers(version)?
            .with(version, |pepper| binding.matches(&pepper.row_binding(row)))
    }

    pub(crate) const fn has_peppers(&self) -> bool {
        self.peppers.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::PepperRing;

    fn hashing(versions: &[u32]) -> Hashing {
        let ring = versions.iter().fold(PepperRing::builder(), |ring, it| {
            ring.pepper(*it, format!("pepper {it} 0123456789 abcdefghijklmnop"))
        });
        let ring = ring.build().unwrap();
        Hashing::builder().peppers(ring).build().unwrap()
    }

    #[test]
    fn a_binding_is_of_one_row_and_one_pepper() {
        let (one, both) = (hashing(&[1]), hashing(&[1, 2]));
        let binding = one.bind_row(b"row").unwrap();
        assert!(both.check_row(b"row", &binding).unwrap());
        assert!(!both.check_row(b"rows", &binding).unwrap());
        assert!(!both.check_row(b"", &binding).unwrap());
        let newer = both.bind_row(b"row").unwrap();
        assert_eq!((binding.version(), newer.version()), (1, 2));
        let mac = |it: &RowBinding| it.to_text().split_off(3);
        assert_ne!(mac(&newer), mac(&binding));
    }

    #[test]
    fn nothing_is_known_without_the_pepper() {
        let binding = hashing(&[2]).bind_row(b"row").unwrap();
        for without in [hashing(&[1]), Hashing::default()] {
            let missing = without.check_row(b"row", &binding).unwrap_err();
            assert!(matches!(missing, HashError::PepperMissing { version: 2 }));
        }
        assert!(Hashing::default().bind_row(b"row").is_err());
    }

    #[test]
    fn an_unreadable_binding_is_none() {
        let void = RowBinding::from_text("v=1$AAAA");
        assert!(!hashing(&[1]).check_row(b"row", &void).unwrap());
        assert!(!Hashing::default().check_row(b"row", &void).unwrap());
    }

    /// As Python has it: `m = lambda k, b: hmac.new(k, b, 'sha256').digest()`, then
    /// `m(m(pepper, b'\x15keyward/1/row-binding'), b'\x03row')`.
    #[test]
    fn the_key_of_bindings_has_its_own_label() {
        let binding = hashing(&[1]).bind_row(b"row").unwrap();
        assert_eq!(
            binding.to_text(),
            "v=1$DjW4PoY1Bt339SXbpDlD5+eHFKhYGfuew1e2rorfp9o"
        );
    }
}
