//! Redacting ordinary log text, against a bare search of the same text for the prefix.

use std::hint::black_box;

use keyward::audit::Redactor;
use keyward::key::KeyFormat;
use memchr::memmem;

use crate::measure::{Row, interleave, nanos};

const ROUNDS: usize = 31;
const LINES: usize = 4096;

/// About 200 bytes a line. One line in sixteen has an encoded URL, one in eight a name that holds the prefix.
fn log() -> String {
    (0..LINES)
        .map(|line| {
            let query = match line % 16 {
                0 => "?next=https%3A%2F%2Fexample.com%2F",
                1 | 9 => "?npm_config=1",
                _ => "?page=2&per_page=50",
            };
            format!(
                "2026-07-14T09:12:33.{line:06}Z  INFO http::access: request completed method=GET route=/v1/items/{{item_id}}{query} \
                 status=200 duration_us={} client_ip=192.0.2.{} request_id=6ba7b810-9dad-11d1-80b4-{line:012}\n",
                line * 7,
                line % 250
            )
        })
        .collect()
}

pub(crate) fn run() {
    let text = log();
    let redactor = Redactor::new(&KeyFormat::default());
    let prefix = memmem::Finder::new("pm_");
    let mut ours = || {
        nanos(8, || {
            black_box(redactor.redact(black_box(&text)));
        })
    };
    let mut reference = || {
        nanos(8, || {
            black_box(prefix.find_iter(black_box(text.as_bytes())).count());
        })
    };
    let results = interleave(ROUNDS, &mut [&mut ours, &mut reference]);
    Row {
        name: "redacting a log without keys / searching it for the prefix",
        ours: results[0] / 1e3,
        reference: results[1] / 1e3,
        target: 2.0,
        unit: "us",
    }
    .print();
}
