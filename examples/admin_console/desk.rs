//! What both ways of running it stand on: a service, its factor, and one administrator.

use std::error::Error;
use std::time::Duration;

use keyward::access::{AccessPolicy, Grant, Role};
use keyward::audit::AuditSink;
use keyward::hash::PepperRing;
use keyward::second_factor::{
    Enrolments, FactorCode, FactorError, RecoveryCodes, SqliteFactorStore, TotpFactor,
};
use keyward::service::{
    Actor, IssueKey, IssuePolicy, IssueRules, IssuedKey, KeyService, LifecycleError,
};
use keyward::store::SqliteStore;
use keyward::time::Clock;

/// An admin key lives for a quarter of a year at most.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

pub(crate) struct Desk {
    pub(crate) service: KeyService,
    pub(crate) totp: TotpFactor,
    pub(crate) admin: Actor,
}

impl Desk {
    pub(crate) async fn open(
        name: &str,
        store: SqliteStore,
        sink: impl AuditSink,
        pepper: impl Into<Vec<u8>>,
        clock: impl Clock + Clone,
    ) -> Result<Self, Box<dyn Error>> {
        let factors = SqliteFactorStore::from_pool(store.pool().clone());
        factors.migrate().await?;
        let ring = PepperRing::builder().pepper(1, pepper).build()?;
        let totp = TotpFactor::builder(factors, "keyward example")
            .sealed_with(ring)
            .clock(clock.clone())
            .build()?;
        let roles = [
            Role::new("admin", ["manage_keys", "send_email"])?,
            Role::new("mailer", ["send_email"])?,
        ];
        // A justification and a second factor are demanded for the admin role anyway, since it can manage keys.
        let rules = IssueRules::new()
            .longest_lifetime(LONGEST)
            .default_lifetime(LONGEST);
        let rules = IssuePolicy::builder()
            .role("admin".parse()?, rules)
            .build()?;
        let service = KeyService::builder(store)
            .policy(AccessPolicy::builder().roles(roles).build()?)
            .issue_policy(rules)
            .second_factor(totp.clone())
            .audit(sink)
            .clock(clock)
            .build()?;
        Ok(Self {
            service,
            totp,
            admin: Actor::user(name)?,
        })
    }

    pub(crate) fn enrolments(&self) -> Enrolments<'_> {
        self.totp.enrolments(self.service.recorder())
    }

    /// Returns the URI for the authenticator app.
    pub(crate) async fn enrol(&self) -> Result<String, FactorError> {
        let me = self.admin.reference();
        let enrolment = self.enrolments().begin(me, "admin console").await?;
        Ok(enrolment.expose_uri().to_owned())
    }

    pub(crate) async fn confirm(&self, code: &str) -> Result<RecoveryCodes, FactorError> {
        let (me, code) = (self.admin.reference(), FactorCode::new(code));
        self.enrolments().confirm(me, &code).await
    }

    /// Issues a key of that role, with a code if there is one.
    pub(crate) async fn issue(
        &self,
        code: Option<&str>,
        request: IssueKey,
    ) -> Result<IssuedKey, LifecycleError> {
        let actor = self.admin.clone();
        let actor = match code {
            Some(code) => actor.with_second_factor(FactorCode::new(code)),
            None => actor,
        };
        self.service.issue(&actor, request).await
    }
}

pub(crate) fn wanted(role: &str, justification: &str) -> Result<IssueKey, Box<dyn Error>> {
    let request = IssueKey::new("operator".parse()?, role, Grant::Role(role.parse()?));
    Ok(match justification {
        "" => request,
        text => request.with_justification(text),
    })
}

/// An error's own words, and those of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
