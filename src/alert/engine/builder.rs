use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Alerts;
use super::delivery::{Courier, Outlet, Reporter};
use super::silence::{Periods, Silence};
use super::watch::Watch;
use crate::alert::rules::{
    AdminKeyCreated, BurstOfKeys, CountedPer, DormantKey, EditedRecord, ErrorRate, KeyExposed,
    LimitHits, SupersededSecret,
};
use crate::alert::{AlertError, AlertKind, AlertRule, AlertSink, MAX_SUBJECTS};
use crate::sync::Mutex;

/// A day: whoever reads alerts reads of each trouble once in a working day, and hears of what goes on tomorrow.
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// 1024 alerts are more than anybody reads; at 500 bytes each they are half a megabyte.
const QUEUE: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Two minutes: enough for a sink that tries a few times again while its receiver restarts.
const PATIENCE: Duration = Duration::from_secs(120);

/// The settings of [`Alerts`].
#[derive(Debug)]
#[must_use]
pub struct AlertsBuilder {
    rules: Vec<Box<dyn AlertRule>>,
    sinks: Vec<(&'static str, Box<dyn AlertSink>)>,
    periods: Periods,
    capacity: NonZeroUsize,
    queue: NonZeroUsize,
    patience: Duration,
    report: Option<Reporter>,
}

impl AlertsBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: Vec::new(),
            sinks: Vec::new(),
            periods: Periods {
                usual: PERIOD,
                of_kind: HashMap::new(),
            },
            capacity: MAX_SUBJECTS,
            queue: QUEUE,
            patience: PATIENCE,
            report: None,
        }
    }

    /// Adds a rule; none otherwise.
    pub fn rule(mut self, rule: impl AlertRule) -> Self {
        self.rules.push(Box::new(rule));
        self
    }

    /// Adds the rules that need no settings of their own, as they are by default: [`ErrorRate`], [`LimitHits`], [`DormantKey`],
    /// [`BurstOfKeys`] per owner and per actor, [`AdminKeyCreated`], [`SupersededSecret`], [`KeyExposed`] and
    /// [`EditedRecord`].
    pub fn standard_rules(self) -> Self {
        self.rule(ErrorRate::default())
            .rule(LimitHits::default())
            .rule(DormantKey::default())
            .rule(BurstOfKeys::builder(CountedPer::Owner).assemble())
            .rule(BurstOfKeys::builder(CountedPer::Actor).assemble())
            .rule(AdminKeyCreated::new())
            .rule(SupersededSecret::new())
            .rule(KeyExposed::default())
            .rule(EditedRecord::new())
    }

    /// Adds a sink, by a name for counters and reports; none otherwise, and alerts then stand in the trail only.
    pub fn sink(mut self, name: &'static str, sink: impl AlertSink) -> Self {
        self.sinks.push((name, Box::new(sink)));
        self
    }

    /// Sets for how long an alert keeps others of its kind and subject back; 24 hours otherwise. With zero, each finding is
    /// an alert.
    pub const fn period(mut self, period: Duration) -> Self {
        self.periods.usual = period;
        self
    }

    /// Sets another period for one kind.
    pub fn period_of(mut self, kind: AlertKind, period: Duration) -> Self {
        self.periods.of_kind.insert(kind, period);
        self
    }

    /// Sets of how many subjects and kinds the last alert is remembered; 100 000 otherwise. Beyond that, the one whose last
    /// finding is oldest is forgotten.
    pub const fn capacity(mut self, alerts: NonZeroUsize) -> Self {
        self.capacity = alerts;
        self
    }

    /// Sets how many alerts may wait for each sink; 1024 otherwise. More are dropped and counted.
    pub const fn queue(mut self, alerts: NonZeroUsize) -> Self {
        self.queue = alerts;
        self
    }

    /// Sets how long a sink may take for one alert, its own retries included; two minutes otherwise. The shutdown takes no
    /// longer either.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Calls `report` with the sink's name and the error whenever a sink did not take an alert. It is called on the sink's
    /// task: log, and return.
    pub fn report_failures(
        mut self,
        report: impl Fn(&'static str, &AlertError) + Send + Sync + 'static,
    ) -> Self {
        self.report = Some(Reporter::new(report));
        self
    }

    /// Starts a task for each sink on the current tokio runtime, which must have its timer enabled.
    ///
    /// # Errors
    ///
    /// [`AlertError::NoRuntime`]: there are sinks, and no runtime.
    pub fn start(self) -> Result<Alerts, AlertError> {
        let mut outlets = Vec::with_capacity(self.sinks.len());
        for (name, sink) in self.sinks {
            let runtime = Handle::try_current().map_err(|_| AlertError::NoRuntime)?;
            let courier = Courier {
                name,
                sink,
                patience: self.patience,
                report: self.report.clone(),
            };
            outlets.push(Outlet::start(courier, self.queue, &runtime));
        }
        let silence = Silence::new(self.periods, self.capacity);
        Ok(Alerts {
            watch: Mutex::new(Watch::new(self.rules, silence)),
            outlets,
            counts: Arc::default(),
            patience: self.patience,
        })
    }
}
