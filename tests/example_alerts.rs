//! The example raises each alert, always the same ones.
#![cfg(all(feature = "axum", feature = "testing", feature = "time-zones"))]
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod example_support;

use std::process::Command;

use example_support::binary;

const TABLE: &str = "\
kind                     alerts  first
error_rate                    1  2026-03-23T09:00:00.400000Z
repeated_limit_hits           1  2026-03-24T13:00:01.360000Z
unexpected_country            1  2026-03-25T10:00:00.120000Z
outside_business_hours        1  2026-03-26T00:30:00.000000Z
dormant_key_active            1  2026-03-26T14:00:00.120000Z
burst_of_keys                 2  2026-03-27T08:01:40.120000Z
admin_key_created             1  2026-03-27T09:00:00.120000Z
superseded_secret             1  2026-03-27T15:00:00.120000Z
key_exposed                   2  2026-03-28T12:00:00.000000Z
";

#[test]
fn the_week_raises_each_alert_as_often_as_it_should() {
    let output = Command::new(binary("alerts")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), TABLE);
}
