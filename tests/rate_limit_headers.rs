//! The exact header fields, and that they are what RFC 9651 reads.
#![allow(
    clippy::unwrap_used,
    reason = "helper functions of a test, outside of #[test]"
)]

use keyward::rate_limit::{
    Charge, HeaderProfile, MemoryRateLimiter, Mode, Quota, RateDecision, RateHeaders,
    RateLimiterExt, ResetStyle, Subject,
};
use keyward::time::Timestamp;
use sfv::{BareItem, ListEntry, Parser};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn quota(name: &str, limit: u32) -> Quota {
    Quota::per_minute(limit).unwrap().named(name).unwrap()
}

fn key<'a>(quota: &'a Quota, cost: u32) -> Charge<'a> {
    Charge::new(Subject::key("3Fq9xT0bLm2A"), quota).with_cost(cost)
}

fn ip(quota: &Quota, cost: u32) -> Charge<'_> {
    Charge::new(Subject::ip([192, 0, 2, 1].into()), quota).with_cost(cost)
}

async fn decide(limiter: &MemoryRateLimiter, charges: &[Charge<'_>], mode: Mode) -> RateDecision {
    limiter.check(charges, mode, NOW).await.unwrap()
}

/// Sends `before` tokens, then a request of `cost`, and returns its fields in one line each.
async fn fields(quota: &Quota, before: u32, cost: u32) -> Vec<String> {
    let limiter = MemoryRateLimiter::new();
    let earlier = decide(&limiter, &[key(quota, before)], Mode::Consume).await;
    assert!(earlier.is_allowed());
    lines(&decide(&limiter, &[key(quota, cost)], Mode::Consume).await)
}

fn lines(decision: &RateDecision) -> Vec<String> {
    let fields = RateHeaders::default().fields(decision);
    fields
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

fn expected(policy: &str, state: &str, legacy: (u32, u32, i64), retry: Option<u32>) -> Vec<String> {
    let (limit, remaining, reset) = legacy;
    let mut lines = vec![
        format!("ratelimit-policy: {policy}"),
        format!("ratelimit: {state}"),
        format!("x-ratelimit-limit: {limit}"),
        format!("x-ratelimit-remaining: {remaining}"),
        format!("x-ratelimit-reset: {reset}"),
    ];
    lines.extend(retry.map(|seconds| format!("retry-after: {seconds}")));
    lines
}

#[tokio::test]
async fn starter_from_the_first_request_to_the_61st() {
    let starter = quota("starter", 60);
    let policy = r#""starter";q=60;w=60"#;
    let first = expected(
        policy,
        r#""starter";r=59;t=1"#,
        (60, 59, 1_700_000_001),
        None,
    );
    assert_eq!(fields(&starter, 0, 1).await, first);
    let thirtieth = expected(
        policy,
        r#""starter";r=30;t=1"#,
        (60, 30, 1_700_000_030),
        None,
    );
    assert_eq!(fields(&starter, 29, 1).await, thirtieth);
    let sixtieth = expected(policy, r#""starter";r=0;t=1"#, (60, 0, 1_700_000_060), None);
    assert_eq!(fields(&starter, 59, 1).await, sixtieth);
    let next = expected(
        policy,
        r#""starter";r=0;t=1"#,
        (60, 0, 1_700_000_060),
        Some(1),
    );
    assert_eq!(fields(&starter, 60, 1).await, next);
}

#[tokio::test]
async fn faster_tiers_round_their_wait_up_to_a_second() {
    for (name, limit) in [("pro", 300), ("enterprise", 1000)] {
        let quota = quota(name, limit);
        let policy = format!("\"{name}\";q={limit};w=60");
        let state = format!("\"{name}\";r=0;t=1");
        let last = expected(&policy, &state, (limit, 0, 1_700_000_060), None);
        assert_eq!(fields(&quota, limit - 1, 1).await, last);
        let denied = expected(&policy, &state, (limit, 0, 1_700_000_060), Some(1));
        assert_eq!(fields(&quota, limit, 1).await, denied);
    }
}

#[tokio::test]
async fn a_cost_above_what_is_left_waits_for_what_is_missing() {
    let denied = expected(
        r#""starter";q=60;w=60"#,
        r#""starter";r=10;t=1"#,
        (60, 10, 1_700_000_050),
        Some(15),
    );
    assert_eq!(fields(&quota("starter", 60), 50, 25).await, denied);
}

#[tokio::test]
async fn a_cost_above_the_burst_has_no_retry_after() {
    let never = expected(
        r#""starter";q=60;w=60"#,
        r#""starter";r=60"#,
        (60, 60, 1_700_000_000),
        None,
    );
    assert_eq!(fields(&quota("starter", 60), 0, 61).await, never);
}

#[tokio::test]
async fn the_denying_limit_is_the_one_in_the_legacy_fields() {
    let (pro, address) = (quota("pro", 300), quota("ip", 1000));
    let limiter = MemoryRateLimiter::new();
    let earlier = [key(&pro, 300), ip(&address, 360)];
    assert!(decide(&limiter, &earlier, Mode::Consume).await.is_allowed());
    let denied = expected(
        r#""pro";q=300;w=60, "ip";q=1000;w=60"#,
        r#""pro";r=0;t=1, "ip";r=640;t=1"#,
        (300, 0, 1_700_000_060),
        Some(1),
    );
    let both = decide(&limiter, &[key(&pro, 1), ip(&address, 1)], Mode::Consume).await;
    assert_eq!(lines(&both), denied);
    let reversed = decide(&limiter, &[ip(&address, 1), key(&pro, 1)], Mode::Consume).await;
    assert!(lines(&reversed).contains(&"x-ratelimit-limit: 300".to_owned()));
}

#[tokio::test]
async fn the_smallest_share_left_is_the_one_in_the_legacy_fields() {
    let (pro, address) = (quota("pro", 300), quota("ip", 1000));
    let limiter = MemoryRateLimiter::new();
    // 100 of 300 are a third; 200 of 1000 are a fifth.
    let charges = [key(&pro, 200), ip(&address, 800)];
    let decision = decide(&limiter, &charges, Mode::Consume).await;
    assert!(lines(&decision).contains(&"x-ratelimit-remaining: 200".to_owned()));
}

#[tokio::test]
async fn a_full_bucket_has_nothing_to_wait_for() {
    let starter = quota("starter", 60);
    let peek = decide(&MemoryRateLimiter::new(), &[key(&starter, 1)], Mode::Peek).await;
    let full = expected(
        r#""starter";q=60;w=60"#,
        r#""starter";r=60"#,
        (60, 60, 1_700_000_000),
        None,
    );
    assert_eq!(lines(&peek), full);
}

#[tokio::test]
async fn a_burst_below_the_limit_is_the_ceiling() {
    let small = quota("x", 60).with_burst(10).unwrap();
    let first = expected(
        r#""x";q=10;w=10"#,
        r#""x";r=9;t=1"#,
        (10, 9, 1_700_000_001),
        None,
    );
    assert_eq!(fields(&small, 0, 1).await, first);
}

#[tokio::test]
async fn an_address_decided_earlier_is_listed_first() {
    let (pro, address) = (quota("pro", 300), quota("ip", 1000));
    let limiter = MemoryRateLimiter::new();
    let early = decide(&limiter, &[ip(&address, 1)], Mode::Consume).await;
    let later = decide(&limiter, &[key(&pro, 300)], Mode::Consume).await;
    let joined = early.clone().join(later);
    assert!(joined.is_allowed());
    let fields = lines(&joined);
    assert_eq!(
        fields[0],
        r#"ratelimit-policy: "ip";q=1000;w=60, "pro";q=300;w=60"#
    );
    assert_eq!(fields[3], "x-ratelimit-remaining: 0");
    let denied = decide(&limiter, &[key(&pro, 1)], Mode::Consume).await;
    assert_eq!(early.join(denied).retry_after(), Some(1));
}

#[tokio::test]
async fn nothing_is_said_about_no_limits() {
    assert!(lines(&RateDecision::unlimited()).is_empty());
}

#[tokio::test]
async fn each_group_can_be_left_out() {
    let starter = quota("starter", 60);
    let limiter = MemoryRateLimiter::new();
    let decision = decide(&limiter, &[key(&starter, 45)], Mode::Consume).await;
    let names = |headers: RateHeaders| -> Vec<_> {
        headers
            .fields(&decision)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    let modern = RateHeaders::default().with_legacy(None);
    assert_eq!(names(modern), ["ratelimit-policy", "ratelimit"]);
    let legacy = RateHeaders::default().with_draft(None);
    assert_eq!(
        names(legacy),
        [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset"
        ]
    );
    assert_eq!(
        RateHeaders::default().with_draft(Some(HeaderProfile::Draft11)),
        RateHeaders::default()
    );
}

#[tokio::test]
async fn the_legacy_reset_counts_from_now_if_told_to() {
    let starter = quota("starter", 60);
    let limiter = MemoryRateLimiter::new();
    let decision = decide(&limiter, &[key(&starter, 45)], Mode::Consume).await;
    let headers = RateHeaders::default().with_legacy(Some(ResetStyle::Delta));
    let fields = headers.fields(&decision);
    assert!(fields.contains(&("x-ratelimit-reset", "45".to_owned())));
}

/// Reads a field with a parser of RFC 9651: name and integer parameters of each member.
fn read(value: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let list: sfv::List = Parser::new(value).parse().unwrap();
    let members = list.into_iter().map(|entry| {
        let ListEntry::Item(item) = entry else {
            return (String::from("not an item"), Vec::new());
        };
        let BareItem::String(name) = item.bare_item else {
            return (String::from("not a string"), Vec::new());
        };
        let number = |item: BareItem| item.as_integer().map_or(-1, i64::from);
        let params = item.params.into_iter();
        let params = params.map(|(name, item)| (String::from(name.as_str()), number(item)));
        (String::from(name.as_str()), params.collect())
    });
    members.collect()
}

proptest::proptest! {
    #[test]
    fn a_structured_field_parser_reads_what_was_meant(
        names in proptest::collection::vec(r"[ !#-\[\]-~]{1,64}", 1..4),
        limit in 1_u32..50_000,
        burst in 1_u32..10_000,
        taken in 0_u32..20_000,
    ) {
        let quotas: Vec<Quota> = names
            .iter()
            .map(|name| quota(name, limit).with_burst(burst).unwrap())
            .collect();
        let ids = ["a", "b", "c"];
        let charges: Vec<_> = ids
            .iter()
            .zip(&quotas)
            .map(|(id, quota)| Charge::new(Subject::key(id), quota).with_cost(taken))
            .collect();
        let limiter = MemoryRateLimiter::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let decision = runtime.block_on(decide(&limiter, &charges, Mode::Consume));
        let fields = RateHeaders::default().fields(&decision);
        let (policies, states) = (read(&fields[0].1), read(&fields[1].1));
        proptest::prop_assert_eq!(policies.len(), quotas.len());
        proptest::prop_assert_eq!(states.len(), quotas.len());
        for ((name, (policy_name, policy)), (state_name, state)) in names.iter().zip(policies).zip(states) {
            proptest::prop_assert_eq!(name, &policy_name);
            proptest::prop_assert_eq!(name, &state_name);
            let keys: Vec<_> = policy.iter().map(|(key, _)| key.as_str()).collect();
            proptest::prop_assert_eq!(keys, ["q", "w"]);
            proptest::prop_assert!(policy.iter().all(|(_, value)| *value > 0));
            proptest::prop_assert_eq!(&state[0].0, "r");
            proptest::prop_assert!(state[0].1 <= policy[0].1, "r is never above q");
            proptest::prop_assert!(state[1..].iter().all(|(key, value)| key == "t" && *value > 0));
        }
    }
}
