//! Outages, told to the application: a client only hears "try later".

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{KeyService, LifecycleError};

type Hook = dyn Fn(&'static str, &(dyn Error + 'static)) + Send + Sync;

/// Whom to tell.
#[derive(Clone, Default)]
pub(super) struct OutageReporter(Option<Arc<Hook>>);

impl OutageReporter {
    pub(super) fn new(
        report: impl Fn(&'static str, &(dyn Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(report)))
    }
}

impl fmt::Debug for OutageReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutageReporter")
            .field("set", &self.0.is_some())
            .finish()
    }
}

impl KeyService {
    pub(super) fn report_outage(&self, operation: &'static str, error: &(dyn Error + 'static)) {
        if let Some(report) = &self.inner.outages.0 {
            report(operation, error);
        }
    }

    /// Most errors of an operation are answers to whoever asked. These are not.
    pub(super) fn report_if_outage(&self, operation: &'static str, error: &LifecycleError) {
        if matches!(
            error,
            LifecycleError::Audit(_) | LifecycleError::Unavailable(_)
        ) {
            self.report_outage(operation, error);
        }
    }
}
