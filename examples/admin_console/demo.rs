//! The whole story, told by itself: with an authenticator app and a clock that both live in this file.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keyward::audit::MemorySink;
use keyward::random::{OsRandom, SecureRandom as _};
use keyward::second_factor::{RecoveryCodes, TotpFactor};
use keyward::service::LifecycleError;
use keyward::store::SqliteStore;
use keyward::time::{Clock, SystemClock, Timestamp};

use crate::desk::{Desk, wanted, with_causes};

/// Stands still until it is moved, so that nobody has to wait half a minute for the next code.
#[derive(Clone, Debug)]
struct DemoClock(Arc<AtomicI64>);

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// What an authenticator app does with the URI that it was shown.
struct App {
    seed: totp_rs::Totp,
    clock: DemoClock,
}

impl App {
    fn code(&self) -> String {
        let now = u64::try_from(self.clock.now().as_secs()).unwrap_or(0);
        self.seed.generate(now).to_string()
    }

    fn wait_for_the_next_code(&self) {
        let period = i64::try_from(TotpFactor::PERIOD.as_micros()).unwrap_or(0);
        self.clock.0.fetch_add(period, Ordering::SeqCst);
        println!("         (half a minute passes)");
    }
}

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let clock = DemoClock(Arc::new(AtomicI64::new(
        SystemClock::new().now().as_micros(),
    )));
    let (trail, mut pepper) = (MemorySink::unbounded(), [0; 32]);
    OsRandom::new().fill(&mut pepper)?;
    let store = SqliteStore::in_memory().await?;
    let desk = Desk::open("ana", store, trail.clone(), pepper, clock.clone()).await?;

    let (app, recovery) = enrol(&desk, clock).await?;
    app.wait_for_the_next_code();
    issue(&desk, &app).await?;
    app.wait_for_the_next_code();
    let recovery_code = recovery.expose().next().unwrap_or_default();
    recover(&desk, recovery_code).await?;

    desk.service.shutdown().await?;
    println!("\nthe trail");
    for event in trail.events() {
        let reason = event.reason().unwrap_or("-");
        println!("         {} {:?} {reason}", event.kind(), event.outcome());
    }
    Ok(())
}

async fn enrol(desk: &Desk, clock: DemoClock) -> Result<(App, RecoveryCodes), Box<dyn Error>> {
    println!("enrolment");
    let uri = desk.enrol().await?;
    println!("shown    {uri}");
    let seed = totp_rs::Totp::from_url(&uri)?;
    let app = App { seed, clock };
    let code = app.code();
    println!("app      shows {code}");
    let recovery = desk.confirm(&code).await?;
    println!("enrolled, with {} recovery codes", recovery.expose().len());
    Ok((app, recovery))
}

async fn issue(desk: &Desk, app: &App) -> Result<(), Box<dyn Error>> {
    println!("\nan admin key");
    let admin = wanted("admin", "rotates the fleet's keys at night")?;
    let (unexplained, mailer) = (wanted("admin", "")?, wanted("mailer", "")?);
    let year = admin
        .clone()
        .with_lifetime(Duration::from_secs(365 * 24 * 3600));
    let code = app.code();
    let good = Some(code.as_str());
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for (what, code, request) in [
        ("without a word of why", good, unexplained),
        ("without a code", None, admin.clone()),
        ("for a year", good, year),
        ("with a wrong code", Some(wrong), admin.clone()),
        ("with the code and a reason", good, admin.clone()),
        ("with the same code again", good, admin),
        ("a mailer needs neither", None, mailer),
    ] {
        tell(what, &desk.issue(code, request).await);
    }
    Ok(())
}

async fn recover(desk: &Desk, code: &str) -> Result<(), Box<dyn Error>> {
    println!("\nwithout the phone");
    let admin = wanted("admin", "the phone is at the bottom of a lake")?;
    for what in ["with a recovery code", "with the same one again"] {
        tell(what, &desk.issue(Some(code), admin.clone()).await);
    }
    Ok(())
}

fn tell<T: Debug>(what: &str, outcome: &Result<T, LifecycleError>) {
    match outcome {
        Ok(_) => println!("issued   {what}"),
        Err(error) => println!("refused  {what}: {} ({})", error.code(), with_causes(error)),
    }
}
