//! How much a test made the scan work: characters read and bytes searched. Counted, because time on a busy machine says nothing.

use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Write as _};

use super::Redactor;
use crate::key::{KeyFormat, Prefix};

thread_local! {
    static DONE: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn count(steps: usize) {
    DONE.set(DONE.get() + steps);
}

/// Redacts a text of about so many bytes, whole and in pieces, and returns the steps that took.
fn steps(redactor: &Redactor, piece: &str, len: usize) -> usize {
    let text = piece.repeat(len / piece.len());
    DONE.set(0);
    black_box(redactor.redact(&text));
    let mut writer = redactor.writer(io::sink());
    for piece in text.as_bytes().chunks(999) {
        writer.write_all(piece).unwrap();
    }
    writer.flush().unwrap();
    DONE.get()
}

#[test]
fn no_text_takes_more_than_its_share_of_work() {
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
        let (short, whole) = (
            steps(&redactor, piece, 2 << 10),
            steps(&redactor, piece, 64 << 10),
        );
        // 32 times the text. In quadratic time it would be a thousand times the work.
        assert!(
            short > 2 << 10 && whole < short * 40,
            "{piece}: {short}, {whole}"
        );
    }
}
