use super::*;
use crate::access::Grant;
use crate::hash::{DigestText, PepperRing, RowBinding, SecretOrigin};
use crate::key::{Credential, Environment, Revocation};
use crate::store::MemoryStore;
use crate::time::Timestamp;

fn records(mode: Option<RowBindingMode>) -> Records {
    let ring = PepperRing::builder().pepper(1, *b"0y4Q-an0ther-32-byte-key-xzv87Lq");
    let hashing = Hashing::builder().peppers(ring.build().unwrap());
    let hashing = Arc::new(hashing.build().unwrap());
    Records::new(Arc::new(MemoryStore::new()), None, hashing, mode)
}

fn record() -> KeyRecord {
    let digest = DigestText::new("$2b$12$not-a-real-digest-1");
    KeyRecord::new(
        "0aZ9bY8cX7dW".parse().unwrap(),
        Environment::live(),
        "acme".parse().unwrap(),
        "export",
        Grant::Scopes(Vec::new()),
        Credential::new(digest, SecretOrigin::Generated, Timestamp::EPOCH),
        Timestamp::EPOCH,
        "user:ana".parse().unwrap(),
    )
}

fn found(record: KeyRecord) -> Found {
    Found(Arc::new(record))
}

#[test]
fn what_is_made_of_a_broken_record_takes_over_its_end_and_nothing_else() {
    let records = records(Some(RowBindingMode::Required));
    let mut broken = record();
    broken.binding = Some(RowBinding::from_text("nonsense"));
    let basis = records.vouch_to_end(found(broken.clone()));
    let by = "user:ana".parse().unwrap();
    let mut next = broken.clone();
    next.revocation = Some(Revocation::new(Timestamp::EPOCH, by, "edited".into()));
    next.exposed_at = Some(Timestamp::EPOCH);
    let mut expected = next.clone();
    (next.name, next.disabled, next.binding) = ("other".into(), true, None);
    expected.binding = broken.binding;
    let ready = records.ready(&basis, next).unwrap();
    assert_eq!(*ready.record(), expected);
}

/// The store keeps what never changes and counts the revision, whatever it is given.
#[test]
fn a_binding_is_for_what_the_store_will_hold() {
    let records = records(Some(RowBindingMode::WhenPresent));
    let before = record();
    let basis = records.vouch(found(before.clone())).unwrap();
    let mut next = before.clone();
    next.name = "other".into();
    (next.owner, next.created_at) = ("mallory".parse().unwrap(), Timestamp::MAX);
    let ready = records.ready(&basis, next).unwrap();
    let mut stored = before;
    stored.name = "other".into();
    stored.revision = stored.revision.next();
    stored.binding = ready.record().binding;
    assert!(records.check(&stored).is_ok());
    assert!(records.check(ready.record()).is_err());
}

#[test]
fn without_row_binding_nothing_is_looked_at() {
    let mut broken = record();
    broken.binding = Some(RowBinding::from_text("nonsense"));
    assert!(records(None).vouch(found(broken)).is_ok());
}
