//! Verification: what is refused, in which order, at what cost, and what nobody may learn.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_imports,
    reason = "a test may fail where it stands"
)]

mod common;

use std::net::IpAddr;

use common::*;
use keyward::BoxError;
use keyward::audit::{AuditKind, Outcome};
use keyward::key::{Environment, KeyFormat, OwnerId, TagKey, TagPolicy, TagRing, Thumbprint};
use keyward::rate_limit::Quota;
use keyward::service::{Face, FailureBudget, OwnerStatus, Rejection, RequestContext, VerifyError};
use keyward::time::Clock as _;

#[tokio::test]
async fn a_stranger_learns_nothing_of_the_state_and_costs_no_hash() {
    let rig = rig();
    let keys = [
        rig.issue().await,
        rig.issue().await,
        rig.issue_as(request().with_lifetime(HOUR)).await,
        rig.issue().await,
    ];
    let id = |place: usize| keys[place].record().id;
    rig.service.disable(&admin(), &id(0)).await.unwrap();
    rig.revoke(&keys[1]).await;
    rig.clock.advance(HOUR);
    for key in &keys {
        let wrong = wrong_secret(key.key().expose(), false);
        assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
    }
    let unknown = wrong_secret(&known_key("a1B2c3D4e5F6", &"S".repeat(43)), false);
    let unknown = rig.rejected(&unknown).await;
    assert_eq!(unknown, Rejection::UnknownKey);
    assert_eq!(unknown.face(), Rejection::WrongSecret.face());
    assert_eq!(unknown.to_string(), Rejection::WrongSecret.to_string());
    assert_eq!(rig.hasher.verifications(), 0);
}

#[tokio::test]
async fn a_wrong_secret_with_the_right_hint_is_refused_by_the_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    assert!(rig.accepts(key).await);
    let wrong = wrong_secret(key, true);
    assert_eq!(rig.rejected(&wrong).await, Rejection::WrongSecret);
    assert_eq!(rig.hasher.verifications(), 2);
    assert!(rig.accepts(key).await);
    assert_eq!(rig.hasher.verifications(), 2);
}

#[tokio::test]
async fn every_rejection_but_four_shows_the_same_face() {
    let rig = rig();
    let issued = rig.issue().await;
    let malformed = rig.rejected("pm_live_nothing").await;
    rig.revoke(&issued).await;
    let revoked = rig.rejected(issued.key().expose()).await;
    for rejection in [
        malformed,
        revoked,
        Rejection::UnknownKey,
        Rejection::WrongSecret,
        Rejection::Superseded,
        Rejection::Exposed,
        Rejection::Disabled,
        Rejection::Expired,
        Rejection::WrongEnvironment,
        Rejection::UnusableDigest,
        Rejection::OwnerInactive,
        Rejection::CertificateMissing,
        Rejection::CertificateMismatch,
    ] {
        assert_eq!(rejection.face(), Face::Unauthenticated);
        assert_eq!(rejection.to_string(), "the key was not accepted");
    }
    assert_eq!(Rejection::NetworkRefused.face(), Face::Forbidden);
    assert_eq!(Rejection::RoleNetworkRefused.face(), Face::Forbidden);
    let since = rig.clock.now();
    let overdue = Rejection::RotationOverdue { since };
    assert_eq!(overdue.face(), Face::RotationOverdue(since));
}

#[tokio::test]
async fn the_state_is_judged_before_any_slow_hash() {
    let rig = rig();
    let issued = rig.issue().await;
    rig.revoke(&issued).await;
    assert_eq!(
        rig.rejected(issued.key().expose()).await,
        Rejection::Revoked
    );
    assert_eq!(rig.hasher.verifications(), 0);
}

#[tokio::test]
async fn a_malformed_key_never_reaches_the_store() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = issued.key().expose();
    let longer = format!("{key}0");
    let reads = rig.store.count(Call::Find);
    let (upper, padded) = (key.to_uppercase(), format!(" {key}"));
    for bad in ["", "abcd", &key[..68], &longer, &upper, &padded, "\0", "é"] {
        assert!(matches!(rig.rejected(bad).await, Rejection::Malformed(_)));
    }
    assert_eq!(rig.store.count(Call::Find), reads);
    assert!(rig.accepts(key).await);
}

#[tokio::test]
async fn a_key_of_another_environment_is_refused_both_ways() {
    let live = rig();
    let format = KeyFormat::builder().environment(Environment::test());
    let test = live.another(|it| it.format(format.build().unwrap()));
    let (live_key, test_key) = (live.issue().await, test.issue().await);
    assert!(matches!(
        test.rejected(live_key.key().expose()).await,
        Rejection::Malformed(_)
    ));
    assert!(matches!(
        live.rejected(test_key.key().expose()).await,
        Rejection::Malformed(_)
    ));
    assert!(live.accepts(live_key.key().expose()).await);
    assert!(test.accepts(test_key.key().expose()).await);
}

#[tokio::test]
async fn a_record_of_another_environment_is_refused_whatever_the_key_says() {
    use keyward::hash::{DigestText, SecretOrigin};
    use keyward::key::{Credential, KeyRecord};
    use keyward::store::{InsertKey, KeyStore as _};
    let rig = rig();
    let secret = "S".repeat(43);
    let digest = DigestText::new(bcrypt::hash(&secret, 4).unwrap());
    let now = rig.clock.now();
    let record = KeyRecord::new(
        "a1B2c3D4e5F6".parse().unwrap(),
        Environment::test(),
        "acme".parse().unwrap(),
        "n",
        scopes(&["a"]),
        Credential::new(digest, SecretOrigin::Generated, now),
        now,
        "user:ana".parse().unwrap(),
    );
    rig.store.insert(InsertKey::new(record)).await.unwrap();
    assert_eq!(
        rig.rejected(&known_key("a1B2c3D4e5F6", &secret)).await,
        Rejection::WrongEnvironment
    );
}

#[derive(Debug)]
struct Owners;

#[async_trait::async_trait]
impl OwnerStatus for Owners {
    async fn is_active(&self, owner: &OwnerId) -> Result<bool, BoxError> {
        match owner.as_str() {
            "acme" => Ok(true),
            "banned" => Ok(false),
            _ => Err("the directory is down".into()),
        }
    }
}

#[tokio::test]
async fn the_owner_has_the_last_word() {
    let rig = Rig::new(|it| it.owner_status(Owners));
    let of =
        |owner: &str| keyward::service::IssueKey::new(owner.parse().unwrap(), "n", scopes(&["a"]));
    let good = rig.issue_as(of("acme")).await;
    let banned = rig.issue_as(of("banned")).await;
    let unknown = rig.issue_as(of("unknown")).await;
    assert!(rig.accepts(good.key().expose()).await);
    assert_eq!(
        rig.rejected(banned.key().expose()).await,
        Rejection::OwnerInactive
    );
    let outage = rig.verify(unknown.key().expose()).await.unwrap_err();
    assert!(matches!(outage, VerifyError::Unavailable(_)));
}

#[tokio::test]
async fn a_key_bound_to_networks_is_good_inside_them_only() {
    let rig = rig();
    let networks = "10.0.0.0/8, 2001:db8::/32".parse().unwrap();
    let issued = rig.issue_as(request().with_networks(networks)).await;
    let key = issued.key().expose();
    for inside in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
        assert!(rig.verify_from(key, inside).await.is_ok(), "{inside}");
    }
    for outside in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::1"] {
        let refused = rejection(rig.verify_from(key, outside).await);
        assert_eq!(refused, Rejection::NetworkRefused, "{outside}");
    }
    assert_eq!(rig.rejected(key).await, Rejection::NetworkRefused);
}

#[tokio::test]
async fn an_empty_list_of_networks_allows_nobody() {
    let rig = rig();
    let issued = rig
        .issue_as(request().with_networks("".parse().unwrap()))
        .await;
    let key = issued.key().expose();
    for client in ["127.0.0.1", "::1", "10.0.0.1"] {
        let refused = rejection(rig.verify_from(key, client).await);
        assert_eq!(refused, Rejection::NetworkRefused);
    }
}

#[tokio::test]
async fn a_key_bound_to_a_certificate_needs_that_one() {
    let rig = rig();
    let bound = Thumbprint::new([7; 32]);
    let issued = rig.issue_as(request().with_certificate(bound)).await;
    let key = issued.key().expose();
    let with = |byte| RequestContext::new().with_certificate(Thumbprint::new([byte; 32]));
    assert!(rig.verify_with(key, &with(7)).await.is_ok());
    let other = rig.verify_with(key, &with(8)).await;
    assert_eq!(rejection(other), Rejection::CertificateMismatch);
    assert_eq!(rig.rejected(key).await, Rejection::CertificateMissing);
    let unbound = rig.issue().await;
    let shown = rig.verify_with(unbound.key().expose(), &with(8)).await;
    assert!(shown.is_ok());
}

fn budget(per_address: u32, per_key: u32) -> FailureBudget {
    let quota = |count: u32, name: &str| {
        let quota = Quota::per_minute(1).unwrap().with_burst(count).unwrap();
        quota.named(name).unwrap()
    };
    FailureBudget::new(quota(per_address, "ip"), quota(per_key, "key"))
}

#[tokio::test]
async fn an_address_over_its_budget_is_refused_before_the_store_is_asked() {
    let rig = Rig::new(|it| it.failure_budget(budget(3, 100)));
    let (proven, fresh) = (rig.issue().await, rig.issue().await);
    let key = proven.key().expose();
    assert!(rig.verify_from(key, "192.0.2.1").await.is_ok());
    let unknown = known_key("a1B2c3D4e5F6", &"S".repeat(43));
    for _ in 0..3 {
        let refused = rejection(rig.verify_from(&unknown, "192.0.2.1").await);
        assert_eq!(refused, Rejection::UnknownKey);
    }
    let reads = rig.store.count(Call::Find);
    for wanted in [&unknown, fresh.key().expose()] {
        let refused = rejection(rig.verify_from(wanted, "192.0.2.1").await);
        assert!(
            matches!(refused, Rejection::Throttled { retry_after } if retry_after <= SECOND * 60)
        );
        assert!(matches!(refused.face(), Face::TooManyAttempts(_)));
    }
    assert_eq!(rig.store.count(Call::Find), reads);

    assert!(rig.verify_from(key, "192.0.2.1").await.is_ok(), "proven");
    let elsewhere = rig.verify_from(fresh.key().expose(), "192.0.2.2").await;
    assert!(elsewhere.is_ok());
    rig.clock.advance(SECOND * 60);
    let later = rig.verify_from(&unknown, "192.0.2.1").await;
    assert_eq!(rejection(later), Rejection::UnknownKey);
}

#[tokio::test]
async fn addresses_of_one_v6_network_share_a_budget() {
    let rig = Rig::new(|it| it.failure_budget(budget(2, 100)));
    let unknown = known_key("a1B2c3D4e5F6", &"S".repeat(43));
    for client in ["2001:db8::1", "2001:db8::2"] {
        rejection(rig.verify_from(&unknown, client).await);
    }
    let same = rejection(rig.verify_from(&unknown, "2001:db8::3").await);
    assert!(matches!(same, Rejection::Throttled { .. }));
    let other = rejection(rig.verify_from(&unknown, "2001:db8:0:1::1").await);
    assert_eq!(other, Rejection::UnknownKey);
}

#[tokio::test]
async fn what_an_owner_meets_is_not_charged_to_the_address() {
    let rig = Rig::new(|it| it.failure_budget(budget(2, 2)));
    let issued = rig.issue().await;
    let key = issued.key().expose();
    rig.service
        .disable(&admin(), &issued.record().id)
        .await
        .unwrap();
    for _ in 0..5 {
        let refused = rejection(rig.verify_from(key, "192.0.2.1").await);
        assert_eq!(refused, Rejection::Disabled);
    }
}

#[tokio::test]
async fn guessing_at_a_key_does_not_lock_its_owner_out() {
    let rig = Rig::new(|it| it.failure_budget(budget(2, 2)));
    let issued = rig.issue().await;
    let key = issued.key().expose();
    let wrong = wrong_secret(key, false);
    for place in 1..=20 {
        let client = format!("192.0.2.{place}");
        rejection(rig.verify_from(&wrong, &client).await);
    }
    assert!(rig.verify_from(key, "198.51.100.1").await.is_ok());
}

#[tokio::test]
async fn without_a_budget_nobody_is_throttled() {
    let rig = Rig::new(|it| it.dangerous().without_failure_budget());
    let unknown = known_key("a1B2c3D4e5F6", &"S".repeat(43));
    for _ in 0..100 {
        let refused = rejection(rig.verify_from(&unknown, "192.0.2.1").await);
        assert_eq!(refused, Rejection::UnknownKey);
    }
}

#[tokio::test]
async fn a_budget_and_a_clock_that_steps_back_free_nobody() {
    let rig = Rig::new(|it| it.failure_budget(budget(1, 100)));
    let unknown = known_key("a1B2c3D4e5F6", &"S".repeat(43));
    rejection(rig.verify_from(&unknown, "192.0.2.1").await);
    rig.clock.set(rig.clock.now().saturating_sub(HOUR));
    let refused = rejection(rig.verify_from(&unknown, "192.0.2.1").await);
    assert!(matches!(refused, Rejection::Throttled { .. }));
}

#[tokio::test]
async fn an_accepted_and_a_refused_key_are_written_down_with_their_request() {
    let rig = rig();
    let issued = rig.issue().await;
    let context = RequestContext::new()
        .with_client("192.0.2.7".parse().unwrap())
        .with_request_id("req-1")
        .with_user_agent("curl");
    let key = issued.key().expose();
    rig.verify_with(key, &context).await.unwrap();
    let wrong = wrong_secret(key, false);
    rig.verify_with(&wrong, &context).await.unwrap_err();
    let events = rig.events().await;
    for (event, kind, outcome, reason) in [
        (
            &events[1],
            AuditKind::AuthenticationSucceeded,
            Outcome::Success,
            None,
        ),
        (
            &events[2],
            AuditKind::AuthenticationFailed,
            Outcome::Failure,
            Some("wrong_secret"),
        ),
    ] {
        assert_eq!((event.kind(), event.outcome()), (kind, outcome));
        assert_eq!(event.reason(), reason);
        assert_eq!(event.key_id(), Some(issued.record().id.as_str()));
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(event.client_ip(), Some(client));
        assert_eq!(event.request_id(), Some("req-1"));
        assert_eq!(event.user_agent(), Some("curl"));
    }
    assert_eq!(events[1].owner(), Some("acme"));
    assert_eq!(events[2].owner(), None, "a stranger names no owner");
}

#[tokio::test]
async fn success_events_can_be_left_out_and_failures_cannot() {
    let rig = Rig::new(keyward::service::KeyServiceBuilder::without_success_events);
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    rig.rejected("nothing").await;
    let kinds: Vec<_> = rig
        .events()
        .await
        .iter()
        .map(keyward::audit::AuditEvent::kind)
        .collect();
    assert_eq!(
        kinds,
        [AuditKind::KeyCreated, AuditKind::AuthenticationFailed]
    );
}

#[tokio::test]
async fn a_verified_key_tells_what_was_verified() {
    let rig = rig();
    let issued = rig.issue().await;
    let key = rig
        .verify_from(issued.key().expose(), "192.0.2.7")
        .await
        .unwrap();
    assert_eq!(key.id(), issued.record().id);
    assert_eq!(key.owner().as_str(), "acme");
    assert_eq!(key.generation().number(), 1);
    assert_eq!(key.verified_at(), rig.clock.now());
    assert_eq!(key.client(), Some("192.0.2.7".parse().unwrap()));
    assert_eq!(key.grant(), &scopes(&["send_email"]));
}

#[tokio::test]
async fn first_checks_of_a_key_that_is_guessed_at_wait_behind_the_others() {
    for (guesses, doubtful) in [(0, 0), (2, 1)] {
        let rig = Rig::new(|it| {
            let it = it.failure_budget(budget(100, 2));
            it.hash_pool(pool(1, 8))
        });
        let (busy, guessed) = (rig.issue().await, rig.issue().await);
        let wrong = wrong_secret(guessed.key().expose(), false);
        for _ in 0..guesses {
            rejection(rig.verify_from(&wrong, "192.0.2.1").await);
        }
        rig.hasher.gate().close();
        let verify = |key: &str| {
            let (service, key) = (rig.service.clone(), key.to_owned());
            tokio::spawn(async move {
                let context = RequestContext::new().with_client("192.0.2.9".parse().unwrap());
                service.verify(key.as_bytes(), &context).await.is_ok()
            })
        };
        let first = verify(busy.key().expose());
        wait_for_hashes(&rig, 3).await;
        let second = verify(guessed.key().expose());
        let queued = || {
            let stats = rig.service.hash_stats();
            (stats.queued_trusted, stats.queued_doubtful)
        };
        while queued() == (0, 0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(queued(), (1 - doubtful, doubtful));
        rig.hasher.gate().open();
        assert!(first.await.unwrap() && second.await.unwrap());
    }
}

#[tokio::test]
async fn first_checks_under_a_retired_tag_key_wait_behind_the_others() {
    let tag = |byte: u8| TagKey::new(&[byte; 32]).unwrap();
    let format = |ring| {
        let format = KeyFormat::builder().tags(TagPolicy::Required(ring));
        format.build().unwrap()
    };
    let before = Rig::new(|it| it.format(format(TagRing::new(tag(1)))));
    let ring = TagRing::new(tag(2)).with_retired(tag(1));
    let rig = before.another(|it| it.format(format(ring)).hash_pool(pool(1, 8)));
    let (busy, retired) = (rig.issue().await, before.issue().await);
    rig.hasher.gate().close();
    let verify = |key: &str| {
        let (service, key) = (rig.service.clone(), key.to_owned());
        tokio::spawn(async move {
            let context = RequestContext::new();
            service.verify(key.as_bytes(), &context).await.is_ok()
        })
    };
    let first = verify(busy.key().expose());
    wait_for_hashes(&rig, 2).await;
    let second = verify(retired.key().expose());
    let queued = || {
        let stats = rig.service.hash_stats();
        (stats.queued_trusted, stats.queued_doubtful)
    };
    while queued() == (0, 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(queued(), (0, 1));
    rig.hasher.gate().open();
    assert!(first.await.unwrap() && second.await.unwrap());
}

#[tokio::test]
async fn a_blocked_address_learns_nothing_of_the_ids_that_are_in_use() {
    let rig = Rig::new(|it| it.failure_budget(budget(1, 100)));
    let keys = [rig.issue().await, rig.issue().await, rig.issue().await];
    for key in &keys {
        assert!(
            rig.verify_from(key.key().expose(), "192.0.2.9")
                .await
                .is_ok()
        );
    }
    let id = |place: usize| keys[place].record().id;
    rig.service.disable(&admin(), &id(1)).await.unwrap();
    let unknown = known_key("a1B2c3D4e5F6", &"S".repeat(43));
    rejection(rig.verify_from(&unknown, "192.0.2.1").await);

    let hashes = rig.hasher.verifications();
    let mut guesses = vec![unknown];
    for key in &keys {
        guesses.push(wrong_secret(key.key().expose(), false));
        guesses.push(wrong_secret(key.key().expose(), true));
    }
    for guess in &guesses {
        let refused = rejection(rig.verify_from(guess, "192.0.2.1").await);
        assert!(
            matches!(refused, Rejection::Throttled { .. }),
            "{refused:?}"
        );
    }
    assert_eq!(
        rig.hasher.verifications(),
        hashes,
        "a blocked guess was hashed"
    );
    let disabled = rejection(rig.verify_from(keys[1].key().expose(), "192.0.2.1").await);
    assert!(matches!(disabled, Rejection::Throttled { .. }));
    let good = rig.verify_from(keys[2].key().expose(), "192.0.2.1").await;
    assert!(good.is_ok(), "a proven key is not held up");
}

#[tokio::test]
async fn forgotten_proofs_are_paid_for_once_more() {
    let rig = rig();
    let issued = rig.issue().await;
    assert!(rig.accepts(issued.key().expose()).await);
    let hashes = rig.hasher.verifications();
    rig.service.forget_proofs();
    assert!(rig.accepts(issued.key().expose()).await);
    assert!(rig.accepts(issued.key().expose()).await);
    assert_eq!(rig.hasher.verifications(), hashes + 1);
}

/// A thousand addresses, each far below its own budget, guess at one key whose last four characters they know.
#[tokio::test]
async fn guessing_from_a_thousand_addresses_holds_up_first_checks_of_that_key_alone() {
    let rig = Rig::new(|it| {
        let it = it.failure_budget(budget(20, 10));
        it.hash_pool(pool(1, 8))
    });
    let (guessed, busy, other) = (rig.issue().await, rig.issue().await, rig.issue().await);
    let key = guessed.key().expose();
    let wrong = wrong_secret(key, true);
    for place in 0..1000_u32 {
        let client = std::net::Ipv4Addr::from_bits(0x0a00_0000 | place).to_string();
        let refused = rejection(rig.verify_from(&wrong, &client).await);
        assert_eq!(refused, Rejection::WrongSecret);
    }
    // Nothing is proved yet: the owner's first check waits behind others', and is made.
    rig.hasher.gate().close();
    let verify = |key: &str| {
        let (service, key) = (rig.service.clone(), key.to_owned());
        tokio::spawn(async move {
            let context = RequestContext::new().with_client("192.0.2.9".parse().unwrap());
            service.verify(key.as_bytes(), &context).await.is_ok()
        })
    };
    let busy = verify(busy.key().expose());
    wait_for_hashes(&rig, 3 + 1000 + 1).await;
    let (owner, neighbour) = (verify(key), verify(other.key().expose()));
    let queued = || {
        let stats = rig.service.hash_stats();
        (stats.queued_trusted, stats.queued_doubtful)
    };
    while queued().0 + queued().1 < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queued(), (1, 1));
    rig.hasher.gate().open();
    assert!(busy.await.unwrap() && owner.await.unwrap() && neighbour.await.unwrap());
    // Proved once, the owner is not held up at all.
    let hashes = rig.hasher.verifications();
    assert!(rig.verify_from(key, "192.0.2.9").await.is_ok());
    assert_eq!(rig.hasher.verifications(), hashes);
}
