//! What a limiter answers, at once or later.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::charge::INLINE_CHARGES;
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
    few: [Cell; INLINE_CHARGES],
    /// Used instead of `few` when there are more.
    many: Option<Box<[Cell]>>,
    len: u8,
    source: Source,
    share: NonZeroU32,
}

impl Answer {
    /// Returns an answer that holds these cells. Up to six are held without allocating.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::TooManyCharges`] for more than [`MAX_CHARGES`] of them.
    pub fn new(cells: impl IntoIterator<Item = Cell>) -> Result<Self, RateLimitError> {
        let mut answer = Self::of([Cell::new(0, 0); INLINE_CHARGES], 0);
        let mut cells = cells.into_iter();
        for (place, cell) in answer.few.iter_mut().zip(&mut cells) {
            *place = cell;
            answer.len = answer.len.saturating_add(1);
        }
        match cells.next() {
            Some(next) => answer.with_more(next, cells),
            None => Ok(answer),
        }
    }

    #[cold]
    fn with_more(
        mut self,
        next: Cell,
        rest: impl Iterator<Item = Cell>,
    ) -> Result<Self, RateLimitError> {
        let mut all = self.few.to_vec();
        all.push(next);
        all.extend(rest.take(MAX_CHARGES));
        if all.len() > MAX_CHARGES {
            return Err(RateLimitError::TooManyCharges { count: all.len() });
        }
        self.many = Some(all.into());
        Ok(self)
    }

    /// Returns the cells, in the order of the charges.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        match &self.many {
            Some(many) => many,
            None => self.few.get(..usize::from(self.len)).unwrap_or_default(),
        }
    }

    fn cells_mut(&mut self) -> &mut [Cell] {
        match &mut self.many {
            Some(many) => many,
            None => &mut self.few,
        }
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

    pub(super) const fn of_one(cell: Cell) -> Self {
        let mut few = [Cell::new(0, 0); INLINE_CHARGES];
        few[0] = cell;
        Self::of(few, 1)
    }

    const fn of(few: [Cell; INLINE_CHARGES], len: u8) -> Self {
        Self {
            few,
            many: None,
            len,
            source: Source::Backend,
            share: NonZeroU32::MIN,
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
        for cell in self.cells_mut() {
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
/// assert!(reply.as_ready().is_some());
/// assert!(reply.try_ready().is_ok());
/// ```
#[must_use = "a reply does nothing until it is awaited"]
pub struct Reply<'a>(Inner<'a>);

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

    /// Looks at the reply if it is there, which is cheaper than moving it.
    #[must_use]
    pub const fn as_ready(&self) -> Option<&Result<Answer, RateLimitError>> {
        match &self.0 {
            Inner::Ready(answer) => Some(answer),
            Inner::Pending(_) | Inner::Taken => None,
        }
    }

    /// Returns the reply if it is there, without waiting.
    ///
    /// # Errors
    ///
    /// The reply itself, to be awaited, if it is not there yet. (The inner result is the reply's own.)
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
