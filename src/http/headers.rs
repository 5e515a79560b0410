//! Rate-limit fields on responses.

use ::http::HeaderMap;
use ::http::header::{HeaderName, HeaderValue};

use super::exchange::Exchange;
use crate::rate_limit::{RateDecision, RateHeaders};

/// Writes the fields, in place of any of the same names that the handler set.
pub(super) fn write(which: RateHeaders, limits: &RateDecision, headers: &mut HeaderMap) {
    for (name, value) in which.fields(limits) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

impl Exchange {
    /// Finds out where the limits of the client's address stand: all that may be told before a key is accepted.
    pub(super) async fn stand_of_address(&self) {
        let Some(client) = self.origin().client() else {
            return;
        };
        if let Ok(limits) = self.service().address_limits(client).await {
            self.progress(|progress| progress.limits = Some(limits));
        }
    }
}
