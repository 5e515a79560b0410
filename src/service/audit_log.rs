//! Reading and exporting the audit trail: who may see what of it, and the trace that a reader leaves.

use std::sync::Arc;

use super::actor::View;
use super::{Actor, KeyService, LifecycleError};
use crate::access::TenantId;
use crate::audit::{
    AuditCursor, AuditError, AuditEvent, AuditExporter, AuditKind, AuditLog, AuditPage, AuditQuery,
    Outcome, TenantFilter,
};

impl KeyService {
    /// Returns one page of the audit trail, the oldest position first, and writes down that it was read.
    ///
    /// A key that acts sees its own tenant's events only, whatever the query says; a key without a tenant sees events of no
    /// tenant, but not those of platform-wide keys or of the trail as a whole. A platform-wide key and the application itself
    /// see everything. The `audit_read` event (who, and what was asked for) is durable before the page is returned; when it
    /// cannot be written there is no page.
    ///
    /// Every page read adds an event to the trail. To come to an end for certain, read until a moment
    /// ([`AuditQuery::with_until`]).
    ///
    /// # Errors
    ///
    /// * [`LifecycleError::ActorEnded`], [`LifecycleError::NotPermitted`].
    /// * [`LifecycleError::NoAuditLog`]: the service was built without
    ///   [`audit_log`](super::KeyServiceBuilder::audit_log).
    /// * [`LifecycleError::AuditLog`]: the trail could not be read.
    /// * [`LifecycleError::Audit`]: the reading could not be written down.
    /// * [`LifecycleError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// The event may be written without the page being returned.
    ///
    /// ```
    /// use keyward::audit::{AuditKind, AuditQuery, MemorySink};
    /// use keyward::service::{Actor, KeyService};
    /// use keyward::store::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let trail = MemorySink::unbounded();
    /// let service = KeyService::builder(MemoryStore::new()).audit(trail.clone()).audit_log(trail).build()?;
    ///
    /// let auditor = Actor::user("ana")?;
    /// let query = AuditQuery::new().with_kinds([AuditKind::KeyRevoked]).with_until(service.clock().now());
    /// let page = service.read_audit(&auditor, query).await?;
    /// assert!(page.events.is_empty());
    ///
    /// // The reading is part of the trail.
    /// let page = service.read_audit(&auditor, AuditQuery::new()).await?;
    /// assert_eq!(page.events[0].event.kind(), AuditKind::AuditRead);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_audit(
        &self,
        actor: &Actor,
        query: AuditQuery,
    ) -> Result<AuditPage, LifecycleError> {
        let reader = self.reader(actor, AuditKind::AuditRead).await?;
        let event = reader.event(AuditKind::AuditRead, &query);
        let page = match reader.scoped(query) {
            Some(query) => reader.page(&query).await?,
            None => AuditPage::default(),
        };
        let event = event.with_detail("events", count(page.events.len()));
        reader.write(event).await?;
        Ok(page)
    }

    /// Hands everything that fits the query to `exporter`, page by page and in order, and returns how many events that
    /// were. `format` is the name of the form they get, for the trail. Who may see what is as in
    /// [`read_audit`](Self::read_audit).
    ///
    /// An `audit_read` event with the format is durable before the first event is handed over, and an `audit_exported` event
    /// with the count follows the last: with outcome `failure` and the count so far when the export broke off. Pages hold
    /// 1000 events unless the query says otherwise.
    ///
    /// # Errors
    ///
    /// As [`read_audit`](Self::read_audit), and [`LifecycleError::AuditExport`] when the exporter did not take a page.
    /// What was handed over before is exported.
    ///
    /// # Cancel safety
    ///
    /// Part of the events may be exported. The trail then has the `audit_read` event and no result.
    ///
    /// ```
    /// use keyward::BoxError;
    /// use keyward::audit::{AuditEvent, AuditQuery, MemorySink};
    /// use keyward::service::{Actor, KeyService};
    /// use keyward::store::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let trail = MemorySink::unbounded();
    /// # let service = KeyService::builder(MemoryStore::new()).audit(trail.clone()).audit_log(trail).build()?;
    /// let mut lines = Vec::new();
    /// let mut exporter = |events: &[AuditEvent]| -> Result<(), BoxError> {
    ///     for event in events {
    ///         lines.push(event.to_line()?);
    ///     }
    ///     Ok(())
    /// };
    /// let ana = Actor::user("ana")?;
    /// let exported = service.export_audit(&ana, AuditQuery::new(), "json_lines", &mut exporter).await?;
    /// assert_eq!(exported, 1); // that it is being read
    /// # Ok(())
    /// # }
    /// ```
    pub async fn export_audit(
        &self,
        actor: &Actor,
        query: AuditQuery,
        format: &str,
        exporter: &mut dyn AuditExporter,
    ) -> Result<u64, LifecycleError> {
        let reader = self.reader(actor, AuditKind::AuditExported).await?;
        let event = |kind| reader.event(kind, &query).with_detail("format", format);
        reader.write(event(AuditKind::AuditRead)).await?;
        let result = event(AuditKind::AuditExported);
        let mut exported = 0;
        let outcome = match reader.scoped(query) {
            Some(query) => reader.hand_over(query, exporter, &mut exported).await,
            None => Ok(()),
        };
        let result = result.with_detail("events", exported);
        match outcome {
            Ok(()) => reader.write(result).await?,
            Err(error) => {
                // Why it broke off matters more to the caller, and the trail knows that it was begun.
                drop(reader.write(result.with_failure(error.code())).await);
                return Err(error);
            }
        }
        Ok(exported)
    }

    async fn reader(&self, actor: &Actor, kind: AuditKind) -> Result<Reader<'_>, LifecycleError> {
        let admitted = self.admit(actor).await;
        self.note_refusal(kind, actor, None, admitted.as_ref().err());
        let log = self.inner.log.as_ref();
        Ok(Reader {
            service: self,
            actor: admitted?,
            log: log.ok_or(LifecycleError::NoAuditLog)?,
        })
    }
}

/// Somebody who may read a part of the trail.
struct Reader<'s> {
    service: &'s KeyService,
    actor: Actor,
    log: &'s Arc<dyn AuditLog>,
}

impl Reader<'_> {
    /// Returns the query, narrowed to what the actor may see; nothing if that leaves nothing.
    fn scoped(&self, query: AuditQuery) -> Option<AuditQuery> {
        match self.actor.view(&self.service.inner.policy) {
            View::Everything => Some(query),
            View::Tenant(own) => of_tenant(own, query),
            View::Unbound => match query.tenant() {
                TenantFilter::Any | TenantFilter::Unbound => Some(query.without_tenant()),
                TenantFilter::Of(_) => None,
            },
            View::Nothing => None,
        }
    }

    /// SECURITY: a trail of the application's own may know nothing of tenants. What was not asked for ends the reading.
    async fn page(&self, query: &AuditQuery) -> Result<AuditPage, LifecycleError> {
        let page = self.log.page(query).await;
        let page = page.and_then(|page| {
            let asked_for = |event| query.tenant().matches(event);
            if page.events.iter().all(|found| asked_for(&found.event)) {
                Ok(page)
            } else {
                Err(AuditError::backend("log", "events that were not asked for"))
            }
        });
        page.map_err(|error| {
            self.service.report_outage("audit", &error);
            LifecycleError::AuditLog(error)
        })
    }

    async fn hand_over(
        &self,
        query: AuditQuery,
        exporter: &mut dyn AuditExporter,
        exported: &mut u64,
    ) -> Result<(), LifecycleError> {
        let mut query = query.with_usual_page_size(AuditQuery::MAX_PAGE_SIZE);
        loop {
            let page = self.page(&query).await?;
            let events: Vec<_> = page.events.into_iter().map(|found| found.event).collect();
            if !events.is_empty() {
                let taken = exporter.export(&events).await;
                taken.map_err(LifecycleError::AuditExport)?;
                *exported = exported.saturating_add(count(events.len()));
            }
            match page.next {
                Some(next) => query = query.with_after(next),
                None => return Ok(()),
            }
        }
    }

    fn event(&self, kind: AuditKind, query: &AuditQuery) -> AuditEvent {
        with_filters(self.service.trail_event(kind, &self.actor), query)
    }

    async fn write(&self, event: AuditEvent) -> Result<(), LifecycleError> {
        let written = self.service.inner.trail.recorder().record(event).await;
        written.map_err(|error| {
            self.service.report_outage("audit", &error);
            LifecycleError::Audit(error)
        })
    }
}

fn of_tenant(own: &TenantId, query: AuditQuery) -> Option<AuditQuery> {
    match query.tenant() {
        TenantFilter::Any => Some(query.with_tenant(own.as_str())),
        TenantFilter::Of(asked) if asked.as_str() == own.as_str() => Some(query),
        TenantFilter::Of(_) | TenantFilter::Unbound => None,
    }
}

/// Writes down what was asked for.
fn with_filters(event: AuditEvent, query: &AuditQuery) -> AuditEvent {
    let text = str::to_owned;
    let (tenant, unbound) = match query.tenant() {
        TenantFilter::Any => (None, None),
        TenantFilter::Of(tenant) => (Some(text(tenant.as_str())), None),
        TenantFilter::Unbound => (None, Some(text("yes"))),
    };
    let codes = |kinds: &[AuditKind]| kinds.iter().map(|it| it.code()).collect::<Vec<_>>();
    let outcome = |outcome| match outcome {
        Outcome::Success => text("success"),
        Outcome::Failure => text("failure"),
    };
    let filters = [
        ("filter_key_id", query.key_id().map(text)),
        ("filter_owner", query.owner().map(text)),
        ("filter_tenant", tenant),
        ("filter_unbound", unbound),
        ("filter_actor", query.actor().map(ToString::to_string)),
        ("filter_kinds", query.kinds().map(|it| codes(it).join(" "))),
        ("filter_outcome", query.outcome().map(outcome)),
        ("filter_from", query.from().map(|at| at.to_string())),
        ("filter_until", query.until().map(|at| at.to_string())),
        ("after", query.after().as_ref().map(AuditCursor::to_string)),
    ];
    let set = filters
        .into_iter()
        .filter_map(|(name, it)| Some((name, it?)));
    set.fold(event, |event, (name, value)| event.with_detail(name, value))
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}
