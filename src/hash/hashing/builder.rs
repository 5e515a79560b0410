use std::sync::Arc;

use super::{Hashing, Imports};
use crate::hash::{Argon2id, Bcrypt, HashBuildError, KeyHasher, PepperRing};

/// Sets up a [`Hashing`]. Starts with bcrypt at 12 preferred and Argon2id accepted, each with its default bounds.
///
/// ```
/// use keyward::hash::{Argon2id, Hashing};
///
/// // New digests are Argon2id; existing bcrypt ones verify and are upgraded on their next use.
/// let hashing = Hashing::builder().prefer(Argon2id::default()).build()?;
/// # Ok::<(), keyward::hash::HashBuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HashingBuilder {
    schemes: Vec<Arc<dyn KeyHasher>>,
    peppers: Option<Arc<PepperRing>>,
    imports: Imports,
}

impl Default for HashingBuilder {
    fn default() -> Self {
        Self {
            schemes: vec![Arc::new(Bcrypt::default()), Arc::new(Argon2id::default())],
            peppers: None,
            imports: Imports::Accepted,
        }
    }
}

impl HashingBuilder {
    /// Sets the scheme for new digests. It takes the place of an accepted one of the same name.
    pub fn prefer(mut self, scheme: impl KeyHasher) -> Self {
        self.remove(scheme.scheme());
        self.schemes.insert(0, Arc::new(scheme));
        self
    }

    /// Accepts stored digests of one more scheme, or changes the settings of one that is accepted already.
    pub fn accept(mut self, scheme: impl KeyHasher) -> Self {
        match self.position(scheme.scheme()) {
            Some(known) => {
                if let Some(slot) = self.schemes.get_mut(known) {
                    *slot = Arc::new(scheme);
                }
            }
            None => self.schemes.push(Arc::new(scheme)),
        }
        self
    }

    /// Puts a keyed digest of id and secret in front of every slow hash, and allows stored proofs and short checks.
    ///
    /// Digests made before are verified as they are, and upgraded on their next use.
    pub fn peppers(mut self, ring: impl Into<Arc<PepperRing>>) -> Self {
        self.peppers = Some(ring.into());
        self
    }

    /// Refuses digests that another system made (`$import-…`), for services that never took any over.
    pub fn refuse_imports(mut self) -> Self {
        self.imports = Imports::Refused;
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    ///
    /// [`HashBuildError::SchemeName`] when a scheme from outside the crate has a name that no stored text can carry, or
    /// one that begins like a form of [`Hashing`]'s own (`pepper`, `import`).
    pub fn build(self) -> Result<Hashing, HashBuildError> {
        if self.schemes.iter().all(|it| is_usable(it.scheme())) {
            Ok(self.assemble())
        } else {
            Err(HashBuildError::SchemeName)
        }
    }

    pub(super) fn assemble(self) -> Hashing {
        Hashing {
            schemes: self.schemes.into(),
            peppers: self.peppers,
            imports: self.imports,
        }
    }

    fn remove(&mut self, name: &str) {
        self.schemes.retain(|scheme| scheme.scheme() != name);
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.schemes
            .iter()
            .position(|scheme| scheme.scheme() == name)
    }
}

fn is_usable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ours = name.starts_with("pepper") || name.starts_with("import");
    !name.is_empty() && name.bytes().all(plain) && !ours
}
