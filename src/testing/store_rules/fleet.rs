//! Rules that only several services over one store can show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Barrier;

use super::Handles;
use super::sample::{read, stored};
use crate::access::Grant;
use crate::audit::MemorySink;
use crate::hash::{Bcrypt, Hashing};
use crate::key::{KeyId, KeyRecord, Revision};
use crate::service::{
    Actor, IssueKey, IssuedKey, KeyService, LifecycleError, RequestContext, Rotation, VerifyError,
};
use crate::store::{Capabilities, InsertKey, KeyStore, ListKeys, Page, StoreError, Usage};
use crate::testing::CountingHasher;

/// Ten services rotate one key at one time: one of them does, the others are told, and the key has one successor.
pub async fn racing_rotations_leave_one_successor(handles: &Handles) {
    const RACERS: usize = 10;
    let issuer = service(handles.shared(1).next().expect("one handle"));
    let issued = issue(&issuer).await;
    let meeting = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = handles
        .shared(RACERS)
        .map(|store| {
            let racer = service(Meeting::new(store, &meeting));
            let id = issued.record().id;
            tokio::spawn(async move { racer.rotate(&actor(), &id, Rotation::AtOnce).await })
        })
        .collect();
    let mut successors = Vec::new();
    for racer in racers {
        match racer.await.expect("a rotation does not panic") {
            Ok(rotated) => successors.push(rotated),
            Err(LifecycleError::Contended) => {}
            Err(other) => panic!("a lost race is contended, not {other:?}"),
        }
    }
    let [successor] = successors.as_slice() else {
        panic!("{} rotations succeeded", successors.len());
    };
    let found = stored(handles.other(), &issued.record().id).await;
    assert_eq!(
        found.current.generation,
        issued.record().current.generation.next()
    );
    assert_eq!(found.current.digest, successor.record().current.digest);
    let reader = service(handles.shared(2).nth(1).expect("two handles"));
    assert!(verify(&reader, successor).await.is_ok());
    assert!(is_rejected(&verify(&reader, &issued).await));
}

/// When a revocation has returned, the next request of any other service is refused, however often it was served before.
pub async fn a_revocation_holds_for_the_next_request_of_every_service(handles: &Handles) {
    let services: Vec<_> = handles.shared(2).map(service).collect();
    let [here, there] = services.as_slice() else {
        panic!("two handles make two services");
    };
    for round in 0..4 {
        let (revoker, other) = if round % 2 == 0 {
            (here, there)
        } else {
            (there, here)
        };
        let issued = issue(revoker).await;
        for _ in 0..3 {
            assert!(verify(other, &issued).await.is_ok());
        }
        let id = issued.record().id;
        revoke(revoker, &id).await;
        assert!(is_rejected(&verify(other, &issued).await), "round {round}");
        assert!(is_rejected(&verify(revoker, &issued).await));
    }
}

/// A first verification whose slow hash is under way while the key is revoked is refused itself, and leaves nothing behind
/// by which a later one could pass.
pub async fn a_verification_under_way_during_a_revocation_opens_nothing(handles: &Handles) {
    let mut stores = handles.shared(2);
    let here = service(stores.next().expect("a handle"));
    let hasher = CountingHasher::new(quick());
    let there = with_hasher(stores.next().expect("another"), hasher.clone());
    let issued = issue(&here).await;
    hasher.gate().close();
    let under_way = tokio::spawn({
        let there = there.clone();
        let presented = issued.key().expose().to_owned();
        async move {
            there
                .verify(presented.as_bytes(), &RequestContext::new())
                .await
                .map(|_| ())
        }
    });
    let begun = async {
        while hasher.verifications() == 0 {
            tokio::task::yield_now().await;
        }
    };
    let begun = tokio::time::timeout(LONGEST_WAIT, begun).await;
    begun.expect("the verification comes to its slow hash");
    let id = issued.record().id;
    revoke(&here, &id).await;
    hasher.gate().open();
    let outcome = under_way.await.expect("a verification does not panic");
    assert!(is_rejected(&outcome), "{outcome:?}");
    assert!(is_rejected(&verify(&there, &issued).await));
}

/// How long a rule waits for its own tasks before it gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

fn quick() -> Bcrypt {
    let quick = Bcrypt::builder().dangerous().low_cost(4).accepted(4..=12);
    quick.build().expect("a cost that bcrypt has")
}

fn service(store: impl KeyStore) -> KeyService {
    with_hasher(store, CountingHasher::new(quick()))
}

fn with_hasher(store: impl KeyStore, hasher: CountingHasher) -> KeyService {
    let hashing = Hashing::builder().prefer(hasher).build();
    KeyService::builder(store)
        .hashing(hashing.expect("a scheme of the crate's own"))
        .audit(MemorySink::unbounded())
        .build()
        .expect("every part is there")
}

fn actor() -> Actor {
    Actor::system("suite").expect("a plain name")
}

async fn issue(service: &KeyService) -> IssuedKey {
    let grant = Grant::Scopes(vec![read("billing:read")]);
    let request = IssueKey::new(read("acme"), "fleet", grant);
    let issued = service.issue(&actor(), request).await;
    issued.expect("a key is issued")
}

async fn revoke(service: &KeyService, id: &KeyId) {
    let revoked = service.revoke(&actor(), id, "over").await;
    let revoked = revoked.expect("a revocation succeeds");
    assert!(revoked.unaudited.is_none());
}

async fn verify(service: &KeyService, issued: &IssuedKey) -> Result<(), VerifyError> {
    let presented = issued.key().expose().as_bytes();
    let verified = service.verify(presented, &RequestContext::new()).await;
    verified.map(|_| ())
}

const fn is_rejected(outcome: &Result<(), VerifyError>) -> bool {
    matches!(outcome, Err(VerifyError::Rejected(_)))
}

/// A store whose users meet before their first update: all of them have read by then what they will write over.
#[derive(Debug)]
struct Meeting {
    store: Arc<dyn KeyStore>,
    meeting: Arc<Barrier>,
    met: AtomicBool,
}

impl Meeting {
    fn new(store: Arc<dyn KeyStore>, meeting: &Arc<Barrier>) -> Self {
        Self {
            store,
            meeting: Arc::clone(meeting),
            met: AtomicBool::new(false),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyStore for Meeting {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn insert(&self, insert: InsertKey) -> Result<(), StoreError> {
        self.store.insert(insert).await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.store.find(id).await
    }

    async fn update(&self, record: &KeyRecord) -> Result<Revision, StoreError> {
        if !self.met.swap(true, Ordering::SeqCst) {
            // Without the others, if one of them has failed before it came here: then the rule fails, and does not hang.
            let _ = tokio::time::timeout(LONGEST_WAIT, self.meeting.wait()).await;
        }
        self.store.update(record).await
    }

    async fn record_usage(&self, usage: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(usage).await
    }

    async fn list(&self, query: &ListKeys) -> Result<Page, StoreError> {
        self.store.list(query).await
    }

    async fn delete(&self, id: &KeyId, expected: Revision) -> Result<(), StoreError> {
        self.store.delete(id, expected).await
    }
}
