//! What a limiter answers, at once or later.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{MAX_CHARGES, RateLimitError};

/// The state of one charged bucket, in microseconds: all that a backend has to know.
///
/// What is left, when the next token comes and when the bucket is full again follow from the debt and are computed once,
/// in [`RateDecision`](super::RateDecision), so that no backend can get them wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cell {
    debt: i64,
    wait: i64,
}

impl Cell {
    /// Returns the state of a bucket that owes `debt` microseconds after the call, and whose charge has to wait another
    /// `wait` microseconds: zero exactly when this charge fits.
    #[must_use]
    pub const fn new(debt: i64, wait: i64) -> Self {
        Self { debt, wait }
    }

    /// Returns what the bucket owes after the call, in microseconds.
    #[must_use]
    pub const fn debt(self) -> i64 {
        self.debt
    }

    /// Returns how long the charge has to wait, in microseconds: zero when it fits.
    #[must_use]
    pub const fn wait(self) -> i64 {
        self.wait
    }
}

/// Who gave an answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Source {
    /// The limiter that was asked.
    #[default]
    Backend,
    /// The in-process limiter that stands in for a failed backend.
    Fallback,
    /// Nobody: the backend failed and the outage policy let the request pass.
    Policy,
}

/// A limiter's answer: one [`Cell`] a charge, in the order of the charges.
///
/// ```
/// use keyward::rate_limit::{Answer, Cell};
///
/// let answer = Answer::new([Cell::new(1_000_000, 0), Cell::new(60_000_000, 1_000_000)])?;
/// assert!(answer.is_denied());
/// # Ok::<(), keyward::rate_limit::RateLimitError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    cells: [Cell; MAX_CHARGES],
    len: usize,
    share: NonZeroU32,
    source: Source,
}

impl Answer {
    /// Returns an answer that holds these cells.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::TooManyCharges`] for more than [`MAX_CHARGES`] of them.
    pub fn new(cells: impl IntoIterator<Item = Cell>) -> Result<Self, RateLimitError> {
        let mut answer = Self::empty();
        for cell in cells {
            let place = answer.cells.get_mut(answer.len);
            let count = answer.len.saturating_add(1);
            *place.ok_or(RateLimitError::TooManyCharges { count })? = cell;
            answer.len = count;
        }
        Ok(answer)
    }

    /// Returns the cells, in the order of the charges.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        self.cells.get(..self.len).unwrap_or_default()
    }

    /// Tells whether at least one charge did not fit, so that none was taken.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.cells().iter().any(|cell| cell.wait > 0)
    }

    /// Returns by how many processes the quotas were divided for this answer; one unless a fallback gave it.
    #[must_use]
    pub const fn share(&self) -> NonZeroU32 {
        self.share
    }

    /// Returns who gave the answer.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    pub(super) const fn empty() -> Self {
        Self {
            cells: [Cell::new(0, 0); MAX_CHARGES],
            len: 0,
            share: NonZeroU32::MIN,
            source: Source::Backend,
        }
    }

    pub(super) fn with_share(self, share: NonZeroU32) -> Self {
        Self { share, ..self }
    }

    pub(super) fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Lets everything pass, whatever the count says.
    pub(super) fn waved_through(mut self) -> Self {
        for cell in &mut self.cells {
            cell.wait = 0;
        }
        self.with_source(Source::Policy)
    }
}

/// A reply that is there already, or a future that will bring it.
///
/// An in-process limiter replies at once, so asking it neither allocates nor yields; a remote one boxes one future.
///
/// ```
/// use keyward::rate_limit::{Answer, Cell, Reply};
///
/// let reply = Reply::ready(Answer::new([Cell::new(0, 0)]));
/// assert!(reply.try_ready().is_ok());
/// ```
#[must_use = "a reply does nothing until it is awaited"]
pub struct Reply<'a>(Inner<'a>);

#[expect(
    clippy::large_enum_variant,
    reason = "the answer is inline so that the in-process limiter allocates nothing"
)]
enum Inner<'a> {
    Ready(Result<Answer, RateLimitError>),
    Pending(Pin<Box<dyn Future<Output = Result<Answer, RateLimitError>> + Send + 'a>>),
    Taken,
}

impl<'a> Reply<'a> {
    /// Returns a reply that will be there later.
    pub fn pending(
        future: impl Future<Output = Result<Answer, RateLimitError>> + Send + 'a,
    ) -> Self {
        Self(Inner::Pending(Box::pin(future)))
    }

    /// Returns a reply that is there now.
    pub const fn ready(answer: Result<Answer, RateLimitError>) -> Self {
        Self(Inner::Ready(answer))
    }

    /// Returns the reply if it is there, without waiting.
    ///
    /// # Errors
    ///
    /// The reply itself, to be awaited, if it is not there yet. (The inner result is the reply's own.)
    #[expect(
        clippy::result_large_err,
        reason = "the answer it may hold is as large"
    )]
    pub fn try_ready(self) -> Result<Result<Answer, RateLimitError>, Self> {
        match self.0 {
            Inner::Ready(answer) => Ok(answer),
            other @ (Inner::Pending(_) | Inner::Taken) => Err(Self(other)),
        }
    }
}

impl Future for Reply<'_> {
    type Output = Result<Answer, RateLimitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Inner::Pending(future) = &mut self.0 {
            return future.as_mut().poll(context);
        }
        match std::mem::replace(&mut self.0, Inner::Taken) {
            Inner::Ready(answer) => Poll::Ready(answer),
            // Polled again after it was done, which nobody may do; staying pending is the answer that harms nobody.
            Inner::Pending(_) | Inner::Taken => Poll::Pending,
        }
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Ready(_) => "Reply(ready)",
            Inner::Pending(_) => "Reply(pending)",
            Inner::Taken => "Reply(taken)",
        })
    }
}
