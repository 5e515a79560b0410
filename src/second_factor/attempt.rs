use std::fmt;

use super::FactorCode;
use crate::audit::AuditKind;
use crate::key::{ActorRef, KeyId};

/// One try to prove a second factor: who, for what, and with which code.
///
/// ```
/// use keyward::audit::AuditKind;
/// use keyward::second_factor::{FactorAttempt, FactorCode, FactorOperation};
///
/// # fn main() -> Result<(), keyward::key::FactError> {
/// let (ana, code) = ("user:ana".parse()?, FactorCode::new("123456"));
/// let attempt = FactorAttempt::new(&ana, FactorOperation::new(AuditKind::KeyCreated), &code);
/// assert_eq!(attempt.actor().as_str(), "user:ana");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FactorAttempt<'a> {
    actor: &'a ActorRef,
    operation: FactorOperation,
    code: &'a FactorCode,
}

impl<'a> FactorAttempt<'a> {
    /// Returns the attempt of `actor` to prove itself for `operation` with `code`.
    #[must_use]
    pub const fn new(
        actor: &'a ActorRef,
        operation: FactorOperation,
        code: &'a FactorCode,
    ) -> Self {
        Self {
            actor,
            operation,
            code,
        }
    }

    /// Returns whose factor it is.
    #[must_use]
    pub const fn actor(&self) -> &'a ActorRef {
        self.actor
    }

    /// Returns what the code is to allow.
    #[must_use]
    pub const fn operation(&self) -> FactorOperation {
        self.operation
    }

    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> &'a FactorCode {
        self.code
    }
}

/// The operation that a code is to allow, and the key it is about. A new key has no id yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FactorOperation {
    kind: AuditKind,
    target: Option<KeyId>,
}

impl FactorOperation {
    /// Returns the operation of that kind, about no key that exists.
    #[must_use]
    pub const fn new(kind: AuditKind) -> Self {
        Self { kind, target: None }
    }

    /// Says which key it is about.
    #[must_use]
    pub const fn on(mut self, target: KeyId) -> Self {
        self.target = Some(target);
        self
    }

    /// Returns the kind of the operation's own audit event.
    #[must_use]
    pub const fn kind(&self) -> AuditKind {
        self.kind
    }

    /// Returns the key it is about.
    #[must_use]
    pub const fn target(&self) -> Option<KeyId> {
        self.target
    }
}

/// What kind of proof was given, as one lower-case word for the audit trail.
///
/// ```
/// use keyward::second_factor::FactorMethod;
///
/// assert_eq!(FactorMethod::TOTP.as_str(), "totp");
/// assert_eq!(FactorMethod::new("webauthn").as_str(), "webauthn");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FactorMethod(&'static str);

impl FactorMethod {
    /// A one-time code of an authenticator app.
    pub const TOTP: Self = Self("totp");
    /// A recovery code.
    pub const RECOVERY_CODE: Self = Self("recovery_code");

    /// Returns the method of that name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for FactorMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
