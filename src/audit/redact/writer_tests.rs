use super::*;
use crate::audit::redact::{rules, symbol};
use crate::key::{KeyFormat, Prefix};

const BODY: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT";
const SHOWN: &str = "pm_live_0123456789AB[redacted]";

fn redactor() -> Redactor {
    Redactor::new(&KeyFormat::default())
}

fn redacted(text: &str) -> String {
    redactor().redact(text).into_owned()
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Takes a few bytes at a time, and now and then none.
struct Grudging {
    taken: Vec<u8>,
    calls: usize,
}

impl Write for Grudging {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = bytes.len().min(5);
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_inner_writer_that_refuses_loses_nothing_and_repeats_nothing() {
    let text = format!("one pm_live_{BODY} two pm_live_{BODY}, thrée\n");
    let mut inner = Grudging {
        taken: Vec::new(),
        calls: 0,
    };
    let mut writer = redactor().writer(&mut inner);
    for piece in text.as_bytes().chunks(7) {
        let mut piece = piece;
        while !piece.is_empty() {
            if let Ok(taken) = writer.write(piece) {
                piece = &piece[taken..];
            }
        }
    }
    while writer.flush().is_err() {}
    drop(writer);
    assert_eq!(String::from_utf8(inner.taken).unwrap(), redacted(&text));
}

fn after_flush(pieces: &[&str]) -> (String, String) {
    let mut log = Vec::new();
    let mut writer = redactor().writer(&mut log);
    for piece in pieces {
        writer.write_all(piece.as_bytes()).unwrap();
        writer.flush().unwrap();
    }
    let flushed = String::from_utf8((*writer.inner).clone()).unwrap();
    drop(writer);
    (flushed, String::from_utf8(log).unwrap())
}

#[test]
fn a_flush_hands_on_what_is_public_and_no_more() {
    for text in ["pm", "pm_live", "pm_live_0123456789AB", "100%", "%7", "é"] {
        let (flushed, end) = after_flush(&[text]);
        assert_eq!((flushed.as_str(), end.as_str()), (text, text));
    }
    let (flushed, end) = after_flush(&["pm_live_0123456789ABCDEF"]);
    assert_eq!(
        (flushed.as_str(), end.as_str()),
        ("pm_live_0123456789AB", SHOWN)
    );
}

#[test]
fn a_key_that_is_flushed_after_every_character_is_found() {
    let key = format!("pm_live_{BODY}");
    for text in [format!("<{key}{key}>"), format!("<{}>", encode(&key))] {
        let pieces: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(after_flush(&pieces).1, redacted(&text));
    }
}

#[test]
fn no_more_is_held_back_than_said() {
    let thrice = |text: &str| (0..3).fold(text.to_owned(), |text, _| encode(&text));
    let lead = format!("{}_a234567890123456_", "p".repeat(32));
    let prefix = Prefix::new(&"p".repeat(32)).unwrap();
    let format = KeyFormat::builder().prefix(prefix).build().unwrap();
    let text = thrice(&format!("{lead}{}{lead}", "0".repeat(rules::MAX_BODY - 1)));
    let mut writer = Redactor::new(&format).writer(io::sink());
    let mut most = 0;
    for piece in text.as_bytes().chunks(5) {
        writer.write_all(piece).unwrap();
        most = most.max(writer.held.len());
    }
    assert!(most <= 234 * symbol::MAX_LEN, "{most}");
    assert!(most > 180 * symbol::MAX_LEN, "{most}");
    writer.write_all(b"\n").unwrap();
    assert_eq!(writer.held, b"");
}

#[test]
fn a_line_of_any_kind_is_not_held_back() {
    let key = format!("pm_live_{BODY}");
    for line in [
        "pm",
        "pm_live_",
        "pm_live_0123456789AB",
        "%",
        "%5",
        &key,
        key.split_at(40).0,
    ] {
        let mut writer = redactor().writer(Vec::new());
        writeln!(writer, "{line}").unwrap();
        assert_eq!(writer.held, b"", "{line}");
    }
}
