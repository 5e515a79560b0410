//! Keys without HTTP: issue, verify, authorise, rotate, revoke.
//!
//! `cargo run --release --example quickstart`
#![allow(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use keyward::access::{AccessPolicy, Grant, Requirement, Role, Target};
use keyward::service::{Actor, IssueKey, KeyService, RequestContext, Rotation};
use keyward::store::MemoryStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // What a key of each role may do. Roles are looked up at every check, never copied into keys.
    let agent = Role::new("agent", ["send_email", "leads:read"])?;
    let policy = AccessPolicy::builder().role(agent).build()?;
    let service = KeyService::builder(MemoryStore::new())
        .policy(policy)
        .build()?;

    // Issue. The plaintext exists here and nowhere else; the store keeps a bcrypt digest.
    let admin = Actor::user("ana")?;
    let request = IssueKey::new(
        "acme".parse()?,
        "nightly mailer",
        Grant::Role("agent".parse()?),
    );
    let issued = service.issue(&admin, request).await?;
    let id = issued.record().id;
    println!(
        "issued   {} (id {id}); show it to its owner once:",
        issued.hint()
    );
    println!("         {}", issued.key().expose());

    // Verify, as on every request. The first time pays the slow hash, the next ones take microseconds.
    let context = RequestContext::new();
    let key = service
        .verify(issued.key().expose().as_bytes(), &context)
        .await?;
    println!("verified key of `{}`", key.owner());

    // Authorise: the role allows sending, and does not allow managing keys.
    for wanted in ["send_email", "leads:read AND send_email", "manage_keys"] {
        let requirement: Requirement = wanted.parse()?;
        let decision = service.authorize(&key, &requirement, &Target::Service);
        println!("may it `{wanted}`? {decision}");
    }

    // Hold it to its limits: the starter tier, 60 requests a minute.
    let limits = service.limit(&key, 1).await?;
    let left = limits
        .tightest()
        .map_or(0, keyward::rate_limit::QuotaState::remaining);
    println!("limited  {left} of the minute's requests are left");

    // Rotate with a day's grace: same id, same settings, and both secrets work meanwhile.
    let rotated = service
        .rotate(&admin, &id, Rotation::Grace(Rotation::USUAL_GRACE))
        .await?;
    for (name, secret) in [("old", issued.key()), ("new", rotated.key())] {
        let outcome = service.verify(secret.expose().as_bytes(), &context).await;
        println!(
            "rotated  the {name} secret {}",
            if outcome.is_ok() { "works" } else { "fails" }
        );
    }

    // Revoke: final, both secrets, from this line on.
    let _ = service
        .revoke(&admin, &id, "the nightly mailer is gone")
        .await?;
    if let Err(error) = service
        .verify(rotated.key().expose().as_bytes(), &context)
        .await
    {
        let reason = error
            .rejection()
            .map_or("outage", |rejection| rejection.code());
        println!("revoked  clients hear `{error}`, the log says `{reason}`");
    }

    service.shutdown().await?;
    Ok(())
}
