//! The https example, driven by the script that people run.
#![cfg(feature = "axum")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

mod example_support;

use std::path::Path;
use std::process::Command;

use example_support::binary;

#[test]
fn runs_the_script_that_tries_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/https_service/try_it.sh");
    let output = Command::new("bash")
        .arg(script)
        .env("HTTPS_SERVICE", binary("https_service"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{complaints}");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "# 000 stands for an answer that TLS did not let through",
            "# in clear",
            "an API call: 403, hsts 0",
            "an API call that takes html: 403, hsts 0",
            "a browser on the start page: 308 to https://localhost/, hsts 0",
            "# encrypted, a key and no certificate",
            "no key: 401, hsts 1",
            "a key: 200, hsts 1",
            "a route that wants a bound key: 403, hsts 1",
            "a key whose role is used elsewhere: 403, hsts 1",
            "no such route: 404, hsts 1",
            "the first request of two: 200, hsts 1",
            "the second: 200, hsts 1",
            "one too many: 429, hsts 1",
            "# encrypted, a key that is bound to a certificate",
            "without certificate: 401, hsts 1",
            "with its certificate: 200, hsts 1",
            "with its certificate, where one is wanted: 200, hsts 1",
            "with one of another authority: 000, hsts 0",
            "with an expired one: 000, hsts 0",
            "with a renewed one, same key pair: 401, hsts 1",
            "with a renewed one, new key pair: 401, hsts 1",
            "another key, with any certificate: 200, hsts 1",
            "with a certificate that a header tells of: 400, hsts 1",
            "# bound to the renewed certificate",
            "by the key itself: 403, hsts 1",
            "by an admin key: 200, hsts 1",
            "the old certificate: 401, hsts 1",
            "the renewed one: 200, hsts 1",
        ]
    );
}
