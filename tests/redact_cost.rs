//! What redacting costs: nothing on the heap where there is nothing to redact, and time in proportion to the text.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may look at the clock and fail where it stands"
)]

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use keyward::audit::Redactor;
use keyward::key::{KeyFormat, Prefix};

#[test]
fn text_without_keys_costs_no_allocation() {
    let redactor = Redactor::new(&KeyFormat::default());
    let line = "rpm_limit=1 path=/a%20b key_id=pm_live_0123456789AB pm_live_configuration\n";
    let mut writer = redactor.writer(io::sink());
    let count = allocation_counter::measure(|| {
        black_box(redactor.redact(black_box(line)));
        writer.write_all(black_box(line).as_bytes()).unwrap();
        writer.flush().unwrap();
    });
    assert_eq!(count.count_total, 0);
}

/// The least of some runs over the same text so many times.
fn time(redactor: &Redactor, text: &str, times: usize) -> Duration {
    let once = |_| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(redactor.redact(black_box(text)));
            let mut writer = redactor.writer(io::sink());
            for piece in text.as_bytes().chunks(999) {
                writer.write_all(piece).unwrap();
            }
        }
        start.elapsed()
    };
    (0..3).map(once).min().unwrap()
}

#[test]
fn no_text_takes_more_than_its_share_of_time() {
    let long = Prefix::new(&"a".repeat(32)).unwrap();
    let long = KeyFormat::builder().prefix(long).build().unwrap();
    for (format, piece) in [
        (KeyFormat::default(), "pm_"),
        (KeyFormat::default(), "pm_live_"),
        (KeyFormat::default(), "pm_live_a-"),
        (KeyFormat::default(), "pm_live_0123456789ABCDEF"),
        (KeyFormat::default(), "%"),
        (KeyFormat::default(), "%25"),
        (KeyFormat::default(), "p%6d"),
        (KeyFormat::default(), "%70%6d_%6c%5f0%30"),
        (long.clone(), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_a_aa"),
        (long.clone(), "a%61"),
        (long, "a"),
    ] {
        let redactor = Redactor::new(&format);
        let text = |len: usize| piece.repeat(len / piece.len());
        let parts = time(&redactor, &text(2 << 10), 16);
        let whole = time(&redactor, &text(62 << 10), 1);
        // About 1; in quadratic time it would be 16.
        let ratio = whole.as_secs_f64() / parts.as_secs_f64();
        assert!(ratio < 4.0, "{piece}: {ratio}");
    }
}
