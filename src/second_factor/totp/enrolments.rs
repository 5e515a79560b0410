use super::label::Label;
use super::recovery::RecoveryDigests;
use super::seed::Seed;
use super::state::{Phase, State};
use super::{Enrolment, RecoveryCodes, Spent, TotpFactor};
use crate::audit::{self, AuditEvent, AuditKind, AuditRecorder, PLATFORM};
use crate::key::ActorRef;
use crate::second_factor::{FactorCode, FactorError, FactorMethod};

/// Enrols, renews and resets second factors, and writes that down: what could not be written down does not happen.
///
/// The application says for whom, from what it knows itself, as with an [`Actor`](crate::service::Actor), whose
/// [`reference`](crate::service::Actor::reference) names the person here too.
///
/// ```
/// # use keyward::hash::PepperRing;
/// # use keyward::second_factor::{FactorCode, MemoryFactorStore, TotpFactor};
/// # use keyward::service::{Actor, KeyService};
/// # use keyward::store::MemoryStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ring = PepperRing::builder().pepper(1, *b"pT3n9-thirty-two-random-bytes-Kd").build()?;
/// # let totp = TotpFactor::builder(MemoryFactorStore::new(), "Example").sealed_with(ring).build()?;
/// # let service = KeyService::builder(MemoryStore::new()).second_factor(totp.clone()).build()?;
/// let ana = Actor::user("ana")?;
/// let enrolments = totp.enrolments(service.recorder());
/// let enrolment = enrolments.begin(ana.reference(), "ana@example.com").await?;
/// assert!(enrolment.expose_uri().starts_with("otpauth://totp/Example:ana%40example.com?secret="));
///
/// // The app shows a code; here it is computed as the app does.
/// # let app = |uri: &str| totp_rs::Totp::from_url(uri).unwrap().generate(now()).to_string();
/// # fn now() -> u64 { std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() }
/// let first = FactorCode::new(app(enrolment.expose_uri()));
/// let recovery_codes = enrolments.confirm(ana.reference(), &first).await?;
/// assert_eq!(recovery_codes.expose().len(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Enrolments<'a> {
    factor: &'a TotpFactor,
    recorder: &'a AuditRecorder,
}

/// On whose word a factor is reset.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ResetBy<'a> {
    /// The owner's, who gives a code: of the app, or a recovery code.
    Code(&'a FactorCode),
    /// The application's, for somebody who has neither. Whoever decides this must have made sure who is asking: it is
    /// the way around the second factor.
    Application {
        /// A part of the application: a reference that begins with `system:`.
        actor: &'a ActorRef,
        /// Why. It is written down.
        reason: &'a str,
    },
}

impl<'a> Enrolments<'a> {
    pub(super) const fn new(factor: &'a TotpFactor, recorder: &'a AuditRecorder) -> Self {
        Self { factor, recorder }
    }

    /// Draws a seed for `owner`, which an app shows under the name `account`. It waits for its first code for
    /// [`TotpFactor::ENROLMENT_LIFE`]; beginning again replaces it.
    ///
    /// Let only those begin whom a fresh sign-in has just proved: whoever confirms is the second factor from then on.
    ///
    /// # Errors
    ///
    /// * [`FactorError::AlreadyEnrolled`]: reset the confirmed one first;
    /// * [`FactorError::Invalid`]: an account that is empty, has more than 128 bytes, or holds a colon or a control
    ///   character;
    /// * otherwise an outage.
    pub async fn begin(&self, owner: &ActorRef, account: &str) -> Result<Enrolment, FactorError> {
        let inner = &self.factor.inner;
        let account = Label::new(account).map_err(|problem| FactorError::Invalid {
            field: "account",
            problem,
        })?;
        let stored = inner.store.find(owner).await?;
        if let Some(stored) = &stored
            && inner.seal.open(owner, stored.state())?.phase == Phase::Active
        {
            return Err(FactorError::AlreadyEnrolled);
        }
        let form = (inner.algorithm, inner.digits);
        let seed = Seed::draw(inner.algorithm, &*inner.random)?;
        let enrolment = Enrolment::new(&seed, form, &inner.issuer, &account);
        let state = State::pending(seed, inner.algorithm, inner.digits, inner.clock.now());
        let before = stored.map(|stored| stored.revision());
        self.factor.write(owner, before, &state).await?;
        Ok(enrolment)
    }

    /// Confirms an enrolment by its first code, and returns the recovery codes, which are shown once.
    ///
    /// # Errors
    ///
    /// * [`FactorError::NotPending`]: no enrolment waits, or it has waited too long;
    /// * [`FactorError::WrongCode`] and the other refusals of a code; wrong ones are counted and slowed down;
    /// * [`FactorError::Audit`]: nothing was confirmed; otherwise an outage.
    pub async fn confirm(
        &self,
        owner: &ActorRef,
        code: &FactorCode,
    ) -> Result<RecoveryCodes, FactorError> {
        let kind = AuditKind::SecondFactorEnrolled;
        let spent = self.spend(kind, owner, code, Phase::Pending).await?;
        self.renew(kind, owner, &spent).await
    }

    /// Replaces all recovery codes by new ones, for a current code.
    ///
    /// # Errors
    ///
    /// * The refusals of a code; [`FactorError::NotEnrolled`];
    /// * [`FactorError::Audit`]: the old ones are still good; otherwise an outage.
    pub async fn renew_recovery_codes(
        &self,
        owner: &ActorRef,
        code: &FactorCode,
    ) -> Result<RecoveryCodes, FactorError> {
        let kind = AuditKind::RecoveryCodesRenewed;
        let spent = self.spend(kind, owner, code, Phase::Active).await?;
        self.renew(kind, owner, &spent).await
    }

    /// Takes the factor away, and its recovery codes with it. A new one can be enrolled then.
    ///
    /// # Errors
    ///
    /// * The refusals of a code; [`FactorError::NotEnrolled`];
    /// * [`FactorError::NotTheApplication`]: `actor` is a person or a key;
    /// * [`FactorError::Invalid`]: no reason;
    /// * [`FactorError::Audit`]: nothing was reset; otherwise an outage.
    pub async fn reset(&self, owner: &ActorRef, by: ResetBy<'_>) -> Result<(), FactorError> {
        let kind = AuditKind::SecondFactorReset;
        let (revision, event) = match by {
            ResetBy::Code(code) => {
                let spent = self.spend(kind, owner, code, Phase::Active).await?;
                let event = self.event(kind, owner).with_actor(audit_actor(owner));
                (spent.revision, with_method(event, spent.method))
            }
            ResetBy::Application { actor, reason } => {
                check_application(actor, reason)?;
                // Not opened: this is also the way out when a row cannot be read any more.
                let stored = self.factor.inner.store.find(owner).await?;
                let stored = stored.ok_or(FactorError::NotEnrolled)?;
                let event = self.event(kind, owner).with_actor(audit_actor(actor));
                (stored.revision(), event.with_detail("reason", reason))
            }
        };
        self.record(event.clone()).await?;
        let removed = self.factor.inner.store.remove(owner, revision).await;
        self.settle(event, removed.map_err(FactorError::from)).await
    }

    async fn renew(
        &self,
        kind: AuditKind,
        owner: &ActorRef,
        spent: &Spent,
    ) -> Result<RecoveryCodes, FactorError> {
        let (codes, kept) = RecoveryDigests::draw(owner, &*self.factor.inner.random)?;
        let event = self.event(kind, owner).with_actor(audit_actor(owner));
        let event = with_method(event, spent.method);
        self.record(event.clone()).await?;
        let state = spent.state.confirmed(kept);
        let written = self.factor.write(owner, Some(spent.revision), &state).await;
        self.settle(event, written.map(|_| ())).await?;
        Ok(codes)
    }

    async fn spend(
        &self,
        kind: AuditKind,
        owner: &ActorRef,
        code: &FactorCode,
        phase: Phase,
    ) -> Result<Spent, FactorError> {
        let spent = self.factor.spend(owner, code, phase).await;
        if let Err(error) = &spent
            && error.is_refusal()
        {
            let event = self
                .event(AuditKind::SecondFactorFailed, owner)
                .with_actor(audit_actor(owner))
                .with_failure(error.code())
                .with_detail("operation", kind.code());
            self.recorder.enqueue_or_wait(event).await;
        }
        spent
    }

    async fn record(&self, event: AuditEvent) -> Result<(), FactorError> {
        let recorded = self.recorder.record(event).await;
        recorded.map_err(FactorError::Audit)
    }

    /// The event of a change that did not happen stands in the trail: a second one says so.
    async fn settle(
        &self,
        event: AuditEvent,
        outcome: Result<(), FactorError>,
    ) -> Result<(), FactorError> {
        if let Err(error) = &outcome {
            drop(self.recorder.record(event.with_failure(error.code())).await);
        }
        outcome
    }

    fn event(&self, kind: AuditKind, owner: &ActorRef) -> AuditEvent {
        AuditEvent::new(kind, self.factor.inner.clock.now())
            .with_detail("factor_of", owner.as_str())
            // SECURITY: who has a factor, and who has just lost one, is not for keys without a tenant.
            .with_detail(PLATFORM.0, PLATFORM.1)
    }
}

fn check_application(actor: &ActorRef, reason: &str) -> Result<(), FactorError> {
    if !actor.as_str().starts_with("system:") {
        return Err(FactorError::NotTheApplication {
            actor: actor.clone(),
        });
    }
    if reason.trim().is_empty() {
        return Err(FactorError::Invalid {
            field: "reason",
            problem: "must not be empty",
        });
    }
    Ok(())
}

fn audit_actor(actor: &ActorRef) -> audit::ActorRef {
    audit::ActorRef::from(actor)
}

fn with_method(event: AuditEvent, method: FactorMethod) -> AuditEvent {
    event.with_detail("second_factor", method.as_str())
}
