use zeroize::Zeroizing;

use crate::random::SecureRandom;

use super::format::Shape;
use super::{
    GenerateError, HintTail, KeyFormat, KeyId, KeyKind, KeyStyle, PresentedSecret, SecretKey,
    TagPolicy, TagRing, base62, checksum,
};

/// How many random bytes are asked for at a time. 62 of 64 lead to a symbol, so one batch makes a secret.
const BATCH: usize = 64;
/// After so many batches a source that leads to no symbols is given up. A true one needs a second once in 2^55 secrets.
const MOST_BATCHES: usize = 8;

/// A key that has just been made. The only place where its plain text stands.
///
/// ```
/// use keyward::key::KeyFormat;
/// use keyward::random::OsRandom;
///
/// let key = KeyFormat::default().generate(&OsRandom::new())?;
/// println!("store {} and a digest of its secret", key.id());
/// println!("show it once: {}", key.plaintext().expose());
/// # Ok::<(), keyward::key::GenerateError>(())
/// ```
#[derive(Debug)]
pub struct GeneratedKey {
    id: KeyId,
    hint_tail: HintTail,
    plaintext: SecretKey,
    lead_len: usize,
}

impl GeneratedKey {
    /// Returns the public part.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Returns the style of the key.
    #[must_use]
    pub fn style(&self) -> KeyStyle {
        self.id.style()
    }

    /// Returns the whole key.
    #[must_use]
    pub const fn plaintext(&self) -> &SecretKey {
        &self.plaintext
    }

    /// Gives up the rest and keeps the whole key.
    #[must_use]
    pub fn into_plaintext(self) -> SecretKey {
        self.plaintext
    }

    /// Returns the private part, for the digest.
    #[must_use]
    pub fn secret(&self) -> PresentedSecret<'_> {
        let style = self.style();
        let start = self.lead_len + style.id_len();
        let whole = self.plaintext.expose().as_bytes();
        PresentedSecret::new(
            whole
                .get(start..start + style.secret_len())
                .unwrap_or_default(),
        )
    }

    /// Returns the last four characters of the secret, for the record.
    #[must_use]
    pub const fn hint_tail(&self) -> HintTail {
        self.hint_tail
    }

    /// Returns what a list shows of the key, as [`KeyFormat::hint_of`] does.
    #[must_use]
    pub fn hint(&self) -> String {
        let lead = self.plaintext.expose().get(..self.lead_len);
        format!("{}…{}", lead.unwrap_or_default(), self.hint_tail)
    }
}

impl KeyFormat {
    /// Makes a secret key: new id, new secret.
    ///
    /// The id is random. Two ids can be the same (in one of six thousand sets of a billion standard ids; in one of
    /// four hundred sets of a million compact ones), so the store must refuse the second and the caller try again.
    ///
    /// # Errors
    ///
    /// * [`GenerateError::Random`] when the source of randomness failed,
    /// * [`GenerateError::StuckRandom`] when it repeats itself.
    pub fn generate(&self, random: &dyn SecureRandom) -> Result<GeneratedKey, GenerateError> {
        self.generate_kind(KeyKind::Secret, random)
    }

    /// Makes a key of that kind, as [`KeyFormat::generate`] makes a secret one.
    ///
    /// # Errors
    ///
    /// Those of [`KeyFormat::generate`]; [`GenerateError::Kind`] when this format was not told of keys of that kind.
    pub fn generate_kind(
        &self,
        kind: KeyKind,
        random: &dyn SecureRandom,
    ) -> Result<GeneratedKey, GenerateError> {
        let mut id = [0; 12];
        let id = id
            .get_mut(..self.style().id_len())
            .ok_or(GenerateError::Style)?;
        draw(id, random)?;
        let id = KeyId::known(id).ok_or(GenerateError::Style)?;
        self.generate_kind_for(kind, id, random)
    }

    /// Makes a new secret for a secret key that exists, in the style of its id.
    ///
    /// # Errors
    ///
    /// * [`GenerateError::Style`] when this format does not accept keys of that style,
    /// * [`GenerateError::Random`] when the source of randomness failed,
    /// * [`GenerateError::StuckRandom`] when it repeats itself.
    pub fn generate_for(
        &self,
        id: KeyId,
        random: &dyn SecureRandom,
    ) -> Result<GeneratedKey, GenerateError> {
        self.generate_kind_for(KeyKind::Secret, id, random)
    }

    /// Makes a new secret for a key of that kind that exists, in the style of its id.
    ///
    /// # Errors
    ///
    /// Those of [`KeyFormat::generate_for`]; [`GenerateError::Kind`] when this format was not told of keys of that kind.
    pub fn generate_kind_for(
        &self,
        kind: KeyKind,
        id: KeyId,
        random: &dyn SecureRandom,
    ) -> Result<GeneratedKey, GenerateError> {
        let lead = self.leads().of(kind).ok_or(GenerateError::Kind)?;
        let style = id.style();
        if !self.accepts(style) {
            return Err(GenerateError::Style);
        }
        let mut secret = Zeroizing::new([0; 43]);
        let secret = secret
            .get_mut(..style.secret_len())
            .ok_or(GenerateError::Style)?;
        draw(secret, random)?;
        let hint_tail = *secret.last_chunk().ok_or(GenerateError::Style)?;
        Ok(GeneratedKey {
            id,
            hint_tail: HintTail::known(hint_tail),
            plaintext: self.render(lead, id, secret),
            lead_len: lead.len(),
        })
    }

    fn render(&self, lead: &str, id: KeyId, secret: &[u8]) -> SecretKey {
        let shape = self.shape(id.style());
        // SECURITY: all the room at once. Growing would leave a copy of the secret behind, unwiped.
        let mut text = Zeroizing::new(String::with_capacity(lead.len() + shape.len()));
        text.push_str(lead);
        text.push_str(id.as_str());
        push(&mut text, secret);
        if let (Shape::Tagged, Some(ring)) = (shape, self.ring()) {
            let tag = ring.sign(text.as_bytes());
            push(&mut text, &tag);
        }
        if shape != Shape::Compact {
            let sum = checksum::of(text.as_bytes());
            push(&mut text, &sum);
        }
        SecretKey::new(text)
    }

    const fn shape(&self, style: KeyStyle) -> Shape {
        match (style, self.ring()) {
            (KeyStyle::Compact, _) => Shape::Compact,
            (KeyStyle::Standard, None) => Shape::Standard,
            (KeyStyle::Standard, Some(_)) => Shape::Tagged,
        }
    }

    /// Returns the ring that signs new keys, if any does.
    const fn ring(&self) -> Option<&TagRing> {
        match self.tags() {
            TagPolicy::Required(ring) | TagPolicy::Optional(ring) => Some(ring),
            TagPolicy::Off | TagPolicy::Ignored => None,
        }
    }
}

fn push(text: &mut String, symbols: &[u8]) {
    text.extend(symbols.iter().copied().map(char::from));
}

/// Fills `text` with uniform symbols: a byte that would favour some is thrown away, never folded.
fn draw(text: &mut [u8], random: &dyn SecureRandom) -> Result<(), GenerateError> {
    let mut places = text.iter_mut();
    let mut batch = Zeroizing::new([0; BATCH]);
    for _ in 0..MOST_BATCHES {
        random.fill(batch.as_mut_slice())?;
        if batch.iter().min() == batch.iter().max() {
            return Err(GenerateError::StuckRandom);
        }
        let symbols = batch.iter().copied().filter_map(base62::draw);
        for (symbol, place) in symbols.zip(places.by_ref()) {
            *place = symbol;
        }
        if places.len() == 0 {
            return Ok(());
        }
    }
    Err(GenerateError::StuckRandom)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::random::{OsRandom, RandomError};

    /// Gives out prepared batches, the last one first, and fails when none is left.
    #[derive(Debug)]
    struct Script(Mutex<Vec<[u8; BATCH]>>);

    impl SecureRandom for Script {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            let batch = self
                .0
                .lock()
                .ok()
                .and_then(|mut left| left.pop())
                .ok_or(RandomError::new())?;
            buffer.copy_from_slice(&batch);
            Ok(())
        }
    }

    fn counting() -> [u8; BATCH] {
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    }

    #[test]
    fn throws_biased_bytes_away_and_goes_on_in_the_next_batch() {
        let mut nearly_empty = [0xff; BATCH];
        nearly_empty[60..].copy_from_slice(&[10, 11, 247, 248]);
        let random = Script(Mutex::new(vec![counting(), nearly_empty]));

        let mut text = [0; 8];
        draw(&mut text, &random).unwrap();
        assert_eq!(&text, b"ABz01234");
    }

    #[test]
    fn asks_for_no_more_than_it_needs() {
        let random = Script(Mutex::new(vec![counting()]));
        let mut text = [0; 62];
        draw(&mut text, &random).unwrap();
        assert_eq!(text.last(), Some(&b'z'));
    }

    #[test]
    fn gives_up_a_source_that_leads_to_no_symbols() {
        let useless = std::array::from_fn(|i| if i == 0 { 0xfe } else { 0xff });
        let random = Script(Mutex::new(vec![useless; MOST_BATCHES]));
        assert_eq!(draw(&mut [0; 8], &random), Err(GenerateError::StuckRandom));
    }

    #[test]
    fn makes_room_for_the_plain_text_once() {
        for style in [KeyStyle::Standard, KeyStyle::Compact] {
            let format = KeyFormat::builder().style(style).build().unwrap();
            let key = format.generate(&OsRandom::new()).unwrap();
            assert_eq!(key.plaintext.spare_room(), 0, "{style:?}");
        }
    }
}
