//! Countries out of databases that are made here, whole and damaged.
#![cfg(feature = "geoip")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use keyward::alert::{CountryResolver as _, GeoipError, MaxMindCountries};
use keyward::time::Timestamp;
use mmdb_writer::ipnet::IpNet;
use mmdb_writer::{IpVersion, RecordSize, Value, Writer};
use proptest::prelude::*;

fn country(member: &str, code: &str) -> Value {
    Value::map([(member, Value::map([("iso_code", Value::from(code))]))])
}

fn database(name: &str, version: IpVersion, records: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = Writer::builder(name)
        .ip_version(version)
        .record_size(RecordSize::Bits24)
        .description(&[("en", "made in a test")])
        .build_epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .build();
    for (network, value) in records {
        let network: IpNet = network.parse().unwrap();
        writer.insert_value(network, value.clone()).unwrap();
    }
    writer.to_bytes().unwrap()
}

fn usual() -> Vec<(&'static str, Value)> {
    let mut both = country("country", "DE");
    if let (Value::Map(both), Value::Map(registered)) =
        (&mut both, country("registered_country", "US"))
    {
        both.extend(registered);
    }
    vec![
        ("192.0.2.0/24", country("country", "CH")),
        ("198.51.100.0/24", both),
        ("203.0.113.0/25", country("registered_country", "FR")),
        ("203.0.113.128/25", country("continent", "EU")),
        ("203.0.112.0/24", country("country", "not a code")),
        ("203.0.111.0/24", Value::from("no map")),
        ("2001:db8:1::/48", country("country", "JP")),
    ]
}

static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| database("GeoLite2-Country", IpVersion::V6, &usual()));

fn countries() -> MaxMindCountries {
    MaxMindCountries::from_bytes(BYTES.clone()).unwrap()
}

fn code(countries: &MaxMindCountries, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().unwrap();
    countries.country(address).map(|it| it.to_string())
}

#[test]
fn tells_the_country_of_an_address_of_either_version() {
    let countries = countries();
    assert_eq!(code(&countries, "192.0.2.1").as_deref(), Some("CH"));
    assert_eq!(code(&countries, "2001:db8:1::5").as_deref(), Some("JP"));
    assert_eq!(code(&countries, "::ffff:192.0.2.1").as_deref(), Some("CH"));
}

#[test]
fn takes_the_country_of_registration_where_there_is_no_other() {
    let countries = countries();
    assert_eq!(code(&countries, "203.0.113.1").as_deref(), Some("FR"));
    assert_eq!(code(&countries, "198.51.100.1").as_deref(), Some("DE"));
}

#[test]
fn knows_nothing_of_what_is_not_in_the_database_or_not_as_it_should_be() {
    let countries = countries();
    for address in [
        "203.0.113.200",
        "203.0.112.1",
        "203.0.111.1",
        "10.0.0.1",
        "127.0.0.1",
        "8.8.8.8",
        "::1",
        "fe80::1",
        "2001:db8:2::1",
    ] {
        assert_eq!(code(&countries, address), None, "{address}");
    }
}

#[test]
fn a_database_of_ipv4_alone_knows_no_ipv6() {
    let records = &usual()[..2];
    let bytes = database("DBIP-Country-Lite", IpVersion::V4, records);
    let countries = MaxMindCountries::from_bytes(bytes).unwrap();
    assert_eq!(code(&countries, "192.0.2.1").as_deref(), Some("CH"));
    assert_eq!(code(&countries, "::ffff:192.0.2.1").as_deref(), Some("CH"));
    assert_eq!(code(&countries, "2001:db8:1::5"), None);
}

#[test]
fn a_database_of_something_else_is_refused_by_name() {
    let bytes = database("GeoLite2-ASN", IpVersion::V6, &usual());
    let error = MaxMindCountries::from_bytes(bytes).unwrap_err();
    assert!(error.to_string().contains("`GeoLite2-ASN`"), "{error}");
}

#[test]
fn the_name_of_a_wrong_database_cannot_write_into_a_log() {
    let name = format!("evil\n{}", "x".repeat(200));
    let bytes = database(&name, IpVersion::V6, &usual());
    let text = MaxMindCountries::from_bytes(bytes).unwrap_err().to_string();
    assert!(text.len() < 150 && !text.contains('\n'), "{text}");
}

#[test]
fn what_is_no_database_is_refused() {
    for bytes in [&b""[..], b"<html>404</html>", &BYTES[..BYTES.len() / 2]] {
        let error = MaxMindCountries::from_bytes(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, GeoipError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn a_damaged_record_is_found_at_opening() {
    let mut bytes = BYTES.clone();
    // The text `iso_code` becomes one that ends beyond the file.
    let at = bytes.windows(8).position(|it| it == b"iso_code").unwrap();
    bytes[at - 1] = 0x5f;
    bytes[at..at + 3].fill(0xff);
    let error = MaxMindCountries::from_bytes(bytes).unwrap_err();
    assert!(matches!(error, GeoipError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_new_edition_takes_the_place_of_the_old_one_for_all_clones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countries.mmdb");
    std::fs::write(&file, &*BYTES).unwrap();
    let countries = MaxMindCountries::open(&file).unwrap();
    let of_the_rule = countries.clone();
    assert_eq!(countries.built(), Timestamp::from_secs(1_700_000_000));

    let moved = [("192.0.2.0/24", country("country", "AT"))];
    std::fs::write(&file, database("GeoIP2-City", IpVersion::V6, &moved)).unwrap();
    countries.reload(&file).unwrap();
    assert_eq!(code(&of_the_rule, "192.0.2.1").as_deref(), Some("AT"));
}

#[test]
fn a_new_edition_that_is_damaged_leaves_the_old_one_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countries.mmdb");
    let countries = countries();
    std::fs::write(&file, &BYTES[..100]).unwrap();
    assert!(countries.reload(&file).is_err());
    let missing = countries.reload(folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, GeoipError::Unreadable { .. }));
    assert_eq!(code(&countries, "192.0.2.1").as_deref(), Some("CH"));
}

/// Opens it, and asks what can be asked.
fn try_out(bytes: Vec<u8>) {
    let Ok(countries) = MaxMindCountries::from_bytes(bytes) else {
        return;
    };
    let _ = format!("{countries:?} {}", countries.built());
    for address in [
        "192.0.2.1",
        "203.0.113.1",
        "2001:db8:1::5",
        "::",
        "255.255.255.255",
    ] {
        let _ = code(&countries, address);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        try_out(bytes);
    }

    #[test]
    fn no_bytes_before_a_real_end_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let end = BYTES.windows(14).position(|it| it == b"\xab\xcd\xefMaxMind.com").unwrap();
        try_out([&bytes, &BYTES[end..]].concat());
    }

    #[test]
    fn no_cut_makes_it_panic(from in 0..BYTES.len(), to in 0..BYTES.len()) {
        try_out([&BYTES[..from], &BYTES[to..]].concat());
    }

    #[test]
    fn no_changed_bytes_make_it_panic(changes in prop::collection::vec((0..BYTES.len(), any::<u8>()), 1..8)) {
        let mut bytes = BYTES.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        try_out(bytes);
    }
}
