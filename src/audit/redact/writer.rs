use std::fmt;
use std::io::{self, ErrorKind, Write};

use super::scan::Found;
use super::symbol::End;
use super::{MARK, Redactor};

/// Redacts what goes through it. Made by [`Redactor::writer`].
///
/// * **What is held back**: the end of what was written, from where a key may have begun, until what follows decides it.
///   Never more than 234 characters, which percent-encoding can make 6318 bytes. A line end decides it always, so whole lines are
///   never held back.
/// * **[`flush`](Write::flush)** hands on what is public of it, which is all but the characters behind an id. Those wait for the
///   next write: a flush in the middle of a key gives nothing away, and the rest of the key is known for what it is.
/// * **The end** is [`finish`](Self::finish), which tells of errors, or dropping the writer, which does not. Nothing is lost
///   by either: what was held back is judged as it stands and written.
/// * **Errors**: a write that fails has taken nothing. Where bytes were taken before the inner writer failed, they are kept,
///   and the error comes from the next call, as in [`io::BufWriter`].
///
/// Bytes go through as they are, valid UTF-8 or not. Writes without anything to redact or hold back reach the inner writer
/// whole and uncopied.
///
/// ```
/// use std::io::Write;
///
/// use keyward::audit::Redactor;
/// use keyward::key::KeyFormat;
///
/// let mut log = Vec::new();
/// let mut writer = Redactor::new(&KeyFormat::default()).writer(&mut log);
/// write!(writer, "pm_test_01234567")?;
/// writer.flush()?;
/// writeln!(writer, "89ABCDEFGHIJ, cut off")?;
/// drop(writer);
/// assert_eq!(log, b"pm_test_0123456789AB[redacted], cut off\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct RedactingWriter<W: Write> {
    redactor: Redactor,
    inner: W,
    /// The end of what was written, from where a key may begin.
    held: Vec<u8>,
    /// So much of `held` was handed on by a flush and is kept to know what follows.
    flushed: usize,
    /// So much of `held` may be seen whatever comes.
    public: usize,
    /// Redacted and not yet accepted by the inner writer.
    ready: Vec<u8>,
    /// The inner writer is at work; if it panics this stays set.
    busy: bool,
}

impl<W: Write> RedactingWriter<W> {
    pub(super) const fn new(redactor: Redactor, inner: W) -> Self {
        Self {
            redactor,
            inner,
            held: Vec::new(),
            flushed: 0,
            public: 0,
            ready: Vec::new(),
            busy: false,
        }
    }

    /// Writes what was held back and flushes: nothing comes any more.
    ///
    /// # Errors
    ///
    /// Whatever the inner writer answers.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()?;
        self.inner.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.sift(End::Closed);
        self.drain()
    }

    /// Hands on what can be, and holds back the rest.
    fn sift(&mut self, end: End) {
        let held = std::mem::take(&mut self.held);
        let mut handed = std::mem::take(&mut self.flushed);
        self.public = 0;
        for found in self.redactor.0.scan(&held, end) {
            match found {
                Found::Key { shown, end } => {
                    self.ready.extend_from_slice(between(&held, handed, shown));
                    self.ready.extend_from_slice(MARK);
                    handed = end;
                }
                Found::Undecided { start, public } => {
                    self.ready.extend_from_slice(between(&held, handed, start));
                    self.flushed = handed.saturating_sub(start);
                    self.public = public - start;
                    self.held = held.get(start..).unwrap_or_default().to_vec();
                    return;
                }
            }
        }
        let rest = between(&held, handed, held.len());
        self.ready.extend_from_slice(rest);
    }

    /// Writes straight through, if there is no key in it. Returns how many bytes were taken.
    fn pass(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let (clean, public) = match self.redactor.0.scan(bytes, End::Open).next() {
            None => (bytes.len(), bytes.len()),
            Some(Found::Undecided { start, public }) => (start, public),
            Some(Found::Key { .. }) => return None,
        };
        let (now, later) = bytes.split_at_checked(clean)?;
        if !now.is_empty() {
            match self.inner_write(now) {
                Ok(taken) if taken == now.len() => {}
                other => return Some(other),
            }
        }
        self.held.extend_from_slice(later);
        self.public = public - clean;
        Some(Ok(bytes.len()))
    }

    /// Hands on what is ready, until the inner writer refuses.
    fn drain(&mut self) -> io::Result<()> {
        let ready = std::mem::take(&mut self.ready);
        let mut rest = ready.as_slice();
        let mut result = Ok(());
        while !rest.is_empty() && result.is_ok() {
            match self.inner_write(rest) {
                Ok(0) => result = Err(ErrorKind::WriteZero.into()),
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        self.ready = rest.to_vec();
        result
    }

    fn inner_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.busy = true;
        let result = self.inner.write(bytes);
        self.busy = false;
        result
    }
}

fn between(text: &[u8], from: usize, to: usize) -> &[u8] {
    text.get(from..to).unwrap_or_default()
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drain()?;
        if self.held.is_empty()
            && let Some(result) = self.pass(bytes)
        {
            return result;
        }
        self.held.extend_from_slice(bytes);
        self.sift(End::Open);
        // The bytes are taken. An error now would have the caller write them again; it comes with the next call.
        let _kept_for_later = self.drain();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let public = between(&self.held, self.flushed, self.public);
        self.ready.extend_from_slice(public);
        self.flushed = self.flushed.max(self.public);
        self.drain()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        if !self.busy {
            let _nobody_to_tell = self.end();
        }
    }
}

/// Shows nothing of what is held.
impl<W: Write> fmt::Debug for RedactingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactingWriter")
            .field("redactor", &self.redactor)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
