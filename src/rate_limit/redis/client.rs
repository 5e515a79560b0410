//! The way to Redis, for whoever has one of their own.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::RedisCall;
use crate::rate_limit::RateLimitError;

/// Runs scripts on Redis.
///
/// [`RedisConnection`](super::RedisConnection) is the crate's own. Another client, a pool, or a connection to a cluster
/// or behind Sentinel is an implementation of this.
///
/// # Contract
///
/// * Send `EVALSHA sha1 numkeys key … argument …`. If the server answers `NOSCRIPT`, send `EVAL` with the text and the same keys
///   and arguments, to the same node. Nothing else is ever sent twice: the script counts, and may have run although its
///   answer was lost.
/// * Return the integers of the answer, in order.
/// * Fail at once with [`RateLimitError::unavailable`] while there is no connection, instead of waiting for one.
/// * Have an end: with [`RateLimitError::Timeout`] at the latest after some seconds.
/// * Errors hold no key. What a server says may quote one, so pass on its error code only, with [`RateLimitError::backend`].
/// * Keys go to a primary, never to a replica.
///
/// # Cancel safety
///
/// A call that is dropped may or may not be carried out. It must not confuse the answers of others.
///
/// ```
/// use keyward::async_trait;
/// use keyward::rate_limit::{RateLimitError, RedisCall, RedisClient, RedisRateLimiter};
///
/// /// Some other client, as one would write it with that client at hand.
/// #[derive(Debug)]
/// struct Pool;
///
/// # impl Pool {
/// #     async fn command(&self, _: &[&str], _: &[String], _: &[i64]) -> Result<Vec<i64>, &'static str> {
/// #         Err("connection refused")
/// #     }
/// # }
/// #[async_trait]
/// impl RedisClient for Pool {
///     async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError> {
///         match self.command(&["EVALSHA", call.sha1()], call.keys(), call.arguments()).await {
///             Err("NOSCRIPT") => self.command(&["EVAL", call.script()], call.keys(), call.arguments()).await,
///             answer => answer,
///         }
///         .map_err(RateLimitError::unavailable)
///     }
/// }
///
/// let limiter = RedisRateLimiter::new(Pool);
/// ```
#[async_trait]
pub trait RedisClient: fmt::Debug + Send + Sync + 'static {
    /// Runs the script of `call`, once.
    ///
    /// # Errors
    ///
    /// * [`RateLimitError::Unavailable`]: there is no connection, or it broke.
    /// * [`RateLimitError::Timeout`]: there was no answer in time.
    /// * [`RateLimitError::Backend`]: the server answered with an error.
    async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError>;
}

const _: Option<&dyn RedisClient> = None;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: RedisClient + ?Sized> RedisClient for Arc<C> {
    async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError> {
        (**self).eval(call).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: RedisClient + ?Sized> RedisClient for Box<C> {
    async fn eval(&self, call: &RedisCall) -> Result<Vec<i64>, RateLimitError> {
        (**self).eval(call).await
    }
}
