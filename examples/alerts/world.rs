//! The service, its rules and its app, on a clock that is moved by hand.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Router, routing::get};
use keyward::BoxError;
use keyward::access::{AccessPolicy, Grant, Role};
use keyward::alert::rules::{
    AdminKeyCreated, BurstOfKeys, BusinessHours, CountedPer, DormantKey, ErrorRate, KeyExposed,
    LimitHits, OutsideBusinessHours, SupersededSecret, UnexpectedCountry, Weekday,
};
use keyward::alert::{Alert, Alerts, Country, CountryResolver, MemoryAlertSink};
use keyward::hash::{Bcrypt, Hashing};
use keyward::http::{AuthenticateLayer, ConnectionInfo, Scheme};
use keyward::service::{Actor, IssueKey, IssuedKey, KeyService};
use keyward::store::MemoryStore;
use keyward::testing::ManualClock;
use tower::ServiceExt as _;

/// In Germany, by this example's atlas.
pub(crate) const BERLIN: [u8; 4] = [192, 0, 2, 10];
/// In France.
pub(crate) const PARIS: [u8; 4] = [198, 51, 100, 10];

pub(crate) struct World {
    pub(crate) service: KeyService,
    pub(crate) clock: ManualClock,
    app: Router,
    alerts: Arc<Alerts>,
    raised: MemoryAlertSink,
}

impl World {
    pub(crate) fn open() -> Result<Self, BoxError> {
        let raised = MemoryAlertSink::bounded(NonZeroUsize::new(1000).ok_or("zero")?);
        let alerts = Arc::new(engine(raised.clone())?);
        let clock = ManualClock::default();
        let admin = Role::new("admin", ["manage_keys"])?;
        let service = KeyService::builder(MemoryStore::new())
            .policy(AccessPolicy::builder().role(admin).build()?)
            .hashing(quick()?)
            .clock(clock.clone())
            .observer(Arc::clone(&alerts))
            .build()?;
        let app = Router::new()
            .route("/report", get(|| async { "all is well" }))
            .route(
                "/broken",
                get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
            )
            .layer(AuthenticateLayer::new(service.clone()));
        Ok(Self {
            service,
            clock,
            app,
            alerts,
            raised,
        })
    }

    /// Issues a key that may manage others. A person would need a second factor for that.
    pub(crate) async fn promote(&self, owner: &str, name: &str) -> Result<IssuedKey, BoxError> {
        let grant = Grant::Role("admin".parse()?);
        let request = IssueKey::new(owner.parse()?, name, grant);
        let request = request.with_justification("runs the shop while ana is away");
        Ok(self
            .service
            .issue(&Actor::system("console")?, request)
            .await?)
    }

    pub(crate) async fn issue(
        &self,
        owner: &str,
        name: &str,
        grant: Grant,
    ) -> Result<IssuedKey, BoxError> {
        let request = IssueKey::new(owner.parse()?, name, grant);
        Ok(self.service.issue(&Actor::user("ana")?, request).await?)
    }

    /// Calls the app with a key, from somewhere, and returns the status.
    pub(crate) async fn call(&self, path: &str, key: &str, from: [u8; 4]) -> Result<u16, BoxError> {
        let peer = SocketAddr::new(from.into(), 50_000);
        let request = Request::get(path)
            .header("x-api-key", key)
            .extension(ConnectionInfo::new(peer, Scheme::Https))
            .body(Body::empty())?;
        let response = self.app.clone().oneshot(request).await?;
        self.clock.advance(Duration::from_millis(20));
        Ok(response.status().as_u16())
    }

    /// Ends the service, then the alerts, and returns what was raised.
    pub(crate) async fn close(self) -> Result<Vec<Alert>, BoxError> {
        self.service.shutdown().await?;
        self.alerts.shutdown().await?;
        Ok(self.raised.alerts())
    }
}

fn engine(sink: MemoryAlertSink) -> Result<Alerts, BoxError> {
    let germany: Country = "DE".parse()?;
    let alerts = Alerts::builder()
        // Limits have a rule of their own.
        .rule(ErrorRate::builder().ignore(429).build()?)
        .rule(LimitHits::default())
        .rule(
            UnexpectedCountry::builder(Atlas)
                .expect([germany])
                .build()?,
        )
        .rule(business_hours()?)
        .rule(DormantKey::default())
        .rule(BurstOfKeys::builder(CountedPer::Owner).build()?)
        .rule(BurstOfKeys::builder(CountedPer::Actor).build()?)
        .rule(AdminKeyCreated::new())
        .rule(SupersededSecret::new())
        .rule(KeyExposed::default())
        .sink("memory", sink)
        .start()?;
    Ok(alerts)
}

/// People work in the daytime; what robots own works at night, too.
fn business_hours() -> Result<OutsideBusinessHours, BoxError> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let week = [
        Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday,
    ];
    let always = BusinessHours::builder("UTC")
        .days(week)
        .open("00:00", "24:00");
    let rule = OutsideBusinessHours::builder()
        .hours(BusinessHours::builder("Europe/Berlin").build()?)
        .hours_of_owner("robots", always.build()?);
    Ok(rule.build()?)
}

/// An example is no place for slow hashes. Leave this out.
fn quick() -> Result<Hashing, BoxError> {
    let bcrypt = Bcrypt::builder().dangerous().low_cost(4).build()?;
    Ok(Hashing::builder().prefer(bcrypt).build()?)
}

/// Knows two networks. A real one reads a database of addresses.
#[derive(Debug)]
struct Atlas;

impl CountryResolver for Atlas {
    fn country(&self, address: IpAddr) -> Option<Country> {
        match address {
            IpAddr::V4(v4) if v4.octets().starts_with(&[192, 0, 2]) => "DE".parse().ok(),
            IpAddr::V4(v4) if v4.octets().starts_with(&[198, 51, 100]) => "FR".parse().ok(),
            _ => None,
        }
    }
}
