//! What redacting costs: nothing on the heap where there is nothing to redact. That the work grows with the text and no
//! faster is counted beside the scan, in `src/audit/redact/work.rs`.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::hint::black_box;
use std::io::{self, Write};

use keyward::audit::Redactor;
use keyward::key::KeyFormat;

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
