//! October 2026 at a service with nine keys, one of them named by somebody with bad intentions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::BoxError;
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::audit::{AuditEvent, AuditKind, JsonLinesSink, SyncPolicy};
use keyward::hash::{Bcrypt, Hashing};
use keyward::service::{
    Actor, IssueKey, IssuedKey, KeyService, LeakedTokens, RequestContext, VerifiedKey,
};
use keyward::store::{KeyStore, SqliteStore};
use keyward::testing::ManualClock;
use keyward::time::{Clock, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// 2026-06-01T00:00:00Z, when the oldest keys were made.
const BEGINNING: Timestamp = Timestamp::from_secs(1_780_272_000);
const DAYS_BEFORE: u32 = 122;
const DAYS: u32 = 31;

/// The service after the month.
pub(crate) struct Month {
    pub(crate) service: KeyService,
    pub(crate) admin: Actor,
    pub(crate) trail: PathBuf,
    pub(crate) happened: Happened,
}

/// What was done, counted while it was done: a report that says otherwise is wrong.
#[derive(Default)]
pub(crate) struct Happened {
    requests: u32,
    errors: u32,
    limit_hits: u32,
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            errors,
            limit_hits,
        } = self;
        write!(
            f,
            "simulated: {requests} requests, {errors} errors, {limit_hits} limit hits"
        )
    }
}

/// A key and how it is used: so many requests a day, on so many days of seven.
struct Client {
    key: IssuedKey,
    requests: u32,
    days_of_seven: u32,
}

struct Simulation {
    service: KeyService,
    clock: ManualClock,
    happened: Happened,
}

pub(crate) async fn simulate(folder: &Path) -> Result<Month, BoxError> {
    let clock = ManualClock::new(BEGINNING);
    let store = SqliteStore::open(folder.join("keys.sqlite")).await?;
    let trail = folder.join("audit.jsonl");
    let sink = JsonLinesSink::builder(&trail).sync(SyncPolicy::Never);
    // So cheap a hash is for examples only, which should not take a minute.
    let hash = Bcrypt::builder().dangerous().low_cost(4).build()?;
    let service = KeyService::builder(store.clone())
        .policy(
            AccessPolicy::builder()
                .roles([Role::new("operator", ["manage_keys"])?])
                .build()?,
        )
        .hashing(Hashing::builder().prefer(hash).build()?)
        .audit(sink.open().await?)
        .without_success_events()
        .clock(clock.clone())
        .build()?;
    let admin = Actor::user("ana")?;
    let mut simulation = Simulation {
        service,
        clock,
        happened: Happened::default(),
    };
    let (clients, leaked) = simulation.issue(&admin).await?;
    for day in 0..DAYS {
        for client in &clients {
            simulation.day_of(day, client).await?;
        }
        if day == 20 {
            // Somebody found it in a public repository.
            let tokens = LeakedTokens::new([leaked.key().expose()])?;
            let findings = simulation.service.report_leaked(&admin, tokens).await?;
            assert_eq!(findings.revoked().count(), 1);
        }
        if let (25, Some(client)) = (day, clients.first()) {
            mark_as_exposed(&store, client.key.record().id, simulation.clock.now()).await?;
        }
        simulation.service.flush_usage().await?;
        simulation.service.recorder().flush().await?;
        let next = BEGINNING.saturating_add(DAY * (DAYS_BEFORE + day + 1));
        simulation.clock.set(next);
    }
    let Simulation {
        service, happened, ..
    } = simulation;
    Ok(Month {
        service,
        admin,
        trail,
        happened,
    })
}

/// What the HTTP layers do when they see a key in a URL and its secret is the right one.
async fn mark_as_exposed(
    store: &SqliteStore,
    id: keyward::key::KeyId,
    now: Timestamp,
) -> Result<(), BoxError> {
    let found = store.find(&id).await?.ok_or("the key is there")?;
    let mut record = (*found).clone();
    record.exposed_at = Some(now);
    store.update(&record).await?;
    Ok(())
}

impl Simulation {
    /// Old keys first, then those of the month. Returns the ones that are used, and one that leaks.
    async fn issue(&self, admin: &Actor) -> Result<(Vec<Client>, IssuedKey), BoxError> {
        let scopes = || Ok::<_, BoxError>(Grant::try_scopes(["leads:read".parse()?])?);
        let issue = |owner: &'static str, name: &'static str, grant, tier, lifetime| async move {
            let mut request = IssueKey::new(owner.parse()?, name, grant).with_tier(tier);
            if let Some(days) = lifetime {
                request = request.with_lifetime(DAY * days);
            }
            Ok::<_, BoxError>(self.service.issue(admin, request).await?)
        };
        let export = issue("acme", "nightly export", scopes()?, "pro", None).await?;
        let dashboard = issue("acme", "dashboard", scopes()?, "enterprise", Some(160)).await?;
        let operator = Grant::Role("operator".parse()?);
        let operator = IssueKey::new("ops".parse()?, "break glass", operator)
            .with_tier("starter")
            .with_justification("for the night when nothing else works");
        // A person would need a second factor for a key that manages others.
        let console = Actor::system("console")?;
        drop(self.service.issue(&console, operator).await?);
        let pilot = issue("globex", "pilot of last spring", scopes()?, "starter", None).await?;
        let tried = pilot.key().expose().as_bytes();
        drop(self.service.verify(tried, &RequestContext::new()).await?);
        self.clock.advance(DAY * 60);
        let hostile = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>\u{202e}\u{2066}";
        let hostile = issue(
            "<b>Bobby</b> & 'sons'",
            hostile,
            scopes()?,
            "starter",
            Some(110),
        )
        .await?;
        let mobile = issue("initech", "mobile app", scopes()?, "starter", None).await?;
        self.clock.set(BEGINNING.saturating_add(DAY * DAYS_BEFORE));
        let partner = issue("hooli", "partner feed", scopes()?, "pro", Some(90)).await?;
        let leaked = issue("initech", "build server", scopes()?, "starter", None).await?;
        drop(issue("hooli", "never configured", scopes()?, "starter", None).await?);
        let client = |key, requests, days_of_seven| Client {
            key,
            requests,
            days_of_seven,
        };
        let clients = vec![
            client(export, 40, 7),
            client(dashboard, 90, 5),
            client(hostile, 12, 7),
            client(mobile, 65, 7),
            client(partner, 25, 6),
        ];
        Ok((clients, leaked))
    }

    async fn day_of(&mut self, day: u32, client: &Client) -> Result<(), BoxError> {
        if day % 7 >= client.days_of_seven {
            return Ok(());
        }
        let key = client.key.key().expose().as_bytes();
        // One client sends all it has in one second now and then, and meets its limit.
        let in_one_second = client.requests == 65 && day.is_multiple_of(5);
        let varied = client.requests + (day * 7) % 11;
        for number in 0..varied {
            if !in_one_second {
                self.clock.advance(SECOND * 2);
            }
            let verified = self.service.verify(key, &RequestContext::new()).await?;
            let decision = self.service.limit(&verified, 1).await?;
            let status = if decision.is_allowed() {
                status(day, number)
            } else {
                self.happened.limit_hits += 1;
                429
            };
            self.answered(&verified, status);
        }
        Ok(())
    }

    /// Writes what the HTTP layers write of every request.
    fn answered(&mut self, key: &VerifiedKey, status: u16) {
        let event = AuditEvent::new(AuditKind::RequestCompleted, self.clock.now())
            .with_key_id(key.id().as_str())
            .with_owner(key.owner().as_str().to_owned())
            .with_method("GET")
            .with_route("/v1/leads")
            .with_status(status)
            .with_duration(Duration::from_millis(12));
        self.happened.requests += 1;
        let failed = status >= 400;
        self.happened.errors += u32::from(failed);
        let event = if failed {
            event.with_failure("refused")
        } else {
            event
        };
        self.service.recorder().enqueue(event);
    }
}

/// A quiet service, but for an outage on the 17th.
const fn status(day: u32, number: u32) -> u16 {
    match (day, number % 100) {
        (16, 0..=34) => 503,
        (_, 17) => 404,
        _ => 200,
    }
}
