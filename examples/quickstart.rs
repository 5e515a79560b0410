//! Keys without HTTP: issue, verify, authorise, limit, rotate, revoke.
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
    let request = IssueKey::new("acme".parse()?, "mailer", Grant::Role("agent".parse()?));
    let issued = service.issue(&admin, request).await?;
    let id = issued.record().id;
    let old = issued.key().expose();
    println!(
        "issued   {}, whose plaintext is shown once: {old}",
        issued.hint()
    );

    // Verify, as on every request. The first time pays the slow hash, the next ones take microseconds.
    let context = RequestContext::new();
    let key = service.verify(old.as_bytes(), &context).await?;
    println!("verified key {id} of `{}`", key.owner());

    // Authorise: the role allows sending, and does not allow managing keys.
    for wanted in ["send_email", "leads:read AND send_email", "manage_keys"] {
        let requirement: Requirement = wanted.parse()?;
        let decision = service.authorize(&key, &requirement, &Target::Service);
        println!("may it `{wanted}`? {decision}");
    }

    // Hold it to its limits: the starter tier, 60 requests a minute.
    let decision = service.limit(&key, 1).await?;
    for quota in decision.states() {
        println!(
            "limited  {} of {} are left",
            quota.remaining(),
            quota.limit()
        );
    }

    // Rotate with a day's grace: same id, same settings, and both secrets work meanwhile.
    let rotation = Rotation::Grace(Rotation::USUAL_GRACE);
    let rotated = service.rotate(&admin, &id, rotation).await?;
    let new = rotated.key().expose();
    for (name, secret) in [("old", old), ("new", new)] {
        let works = service.verify(secret.as_bytes(), &context).await.is_ok();
        println!("rotated  the {name} secret works: {works}");
    }

    // Revoke: final, both secrets, from this line on.
    let revoked = service.revoke(&admin, &id, "the mailer is gone").await?;
    println!("revoked  {:?}", revoked.record.revocation);
    if let Err(error) = service.verify(new.as_bytes(), &context).await {
        let reason = error
            .rejection()
            .map_or("outage", |rejection| rejection.code());
        println!("refused  clients hear `{error}`, the log says `{reason}`");
    }

    service.shutdown().await?;
    Ok(())
}
