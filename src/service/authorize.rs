use super::{KeyService, VerifiedKey};
use crate::access::{Decision, Requirement, Target};

impl KeyService {
    /// Decides whether a verified key may do something.
    ///
    /// Roles are resolved now, so a change of the policy counts at once for every key. A refusal is written to the
    /// audit trail.
    ///
    /// ```
    /// # use keyward::access::{Grant, Requirement, Target};
    /// # use keyward::service::{Actor, IssueKey, KeyService, RequestContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = KeyService::builder(keyward::store::MemoryStore::new()).build()?;
    /// # let request = IssueKey::new("acme".parse()?, "mailer", Grant::try_scopes(["send_email".parse()?])?);
    /// # let issued = service.issue(&Actor::system("example")?, request).await?;
    /// # let key = service.verify(issued.key().expose().as_bytes(), &RequestContext::new()).await?;
    /// let send: Requirement = "send_email".parse()?;
    /// let manage: Requirement = "manage_keys".parse()?;
    /// assert!(service.authorize(&key, &send, &Target::Service).is_allowed());
    /// assert!(!service.authorize(&key, &manage, &Target::Service).is_allowed());
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorize(
        &self,
        key: &VerifiedKey,
        requirement: &Requirement,
        target: &Target<'_>,
    ) -> Decision {
        let decision = self
            .inner
            .policy
            .evaluate(&key.record().subject(), requirement, target);
        if let Some(reason) = decision.reason() {
            self.inner
                .trail
                .permission_refused(key, requirement, reason, self.inner.clock.now());
        }
        decision
    }
}
