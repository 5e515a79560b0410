use std::sync::Arc;

use super::{BindingFault, BindingPage, BoundPage};
use crate::audit::AuditKind;
use crate::key::{KeyId, KeyRecord};
use crate::service::damage::Stretch;
use crate::service::records::{Basis, Unsound};
use crate::service::{Actor, KeyService, LifecycleError};
use crate::store::{ListKeys, StoreError};

/// What a pass makes of a row.
enum Finding {
    Fine,
    Fault(BindingFault),
    /// It may be bound, under the current pepper.
    Due(BindingFault, Basis),
}

/// What the check says of a record that cannot be read.
fn fault_of(unreadable: Option<(KeyId, StoreError)>) -> Option<(KeyId, BindingFault)> {
    unreadable.map(|(id, _)| (id, BindingFault::Unreadable))
}

impl KeyService {
    /// Looks at one page of rows and returns those that are not bound as they should be. It changes nothing, and writes
    /// nothing into the trail.
    ///
    /// This finds what requests do not: rows of keys that nobody uses, and edits that look like a wrong secret. A row that cannot
    /// be read is a fault and does not end the pass. (In another order than newest first, and for a key that acts and does not see
    /// everything, it is [`LifecycleError::Unavailable`].)
    ///
    /// ```
    /// # use keyward::KeyService;
    /// # use keyward::hash::{Hashing, PepperRing};
    /// # use keyward::service::{Actor, RowBindingMode};
    /// # use keyward::store::{ListKeys, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ring = PepperRing::builder().pepper(1, *b"0y4Q-an0ther-32-byte-key-xzv87Lq").build()?;
    /// # let service = KeyService::builder(MemoryStore::new())
    /// #     .hashing(Hashing::builder().peppers(ring).build()?)
    /// #     .row_binding(RowBindingMode::Required)
    /// #     .build()?;
    /// let night_watch = Actor::system("night-watch")?;
    /// let mut query = ListKeys::new().with_limit(ListKeys::MAX_LIMIT);
    /// loop {
    ///     let page = service.check_bindings(&night_watch, query.clone()).await?;
    ///     for (key, fault) in page.faults {
    ///         eprintln!("{key}: {fault:?}");
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     query = query.with_after(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LifecycleError::NoRowBinding`]; otherwise as [`KeyService::list`].
    pub async fn check_bindings(
        &self,
        actor: &Actor,
        query: ListKeys,
    ) -> Result<BindingPage, LifecycleError> {
        self.check_binds()?;
        let actor = self.admit(actor).await?;
        let Stretch { page, unreadable } = self.stretch_for(&actor, query).await?;
        let unreadable = fault_of(unreadable);
        let fault = |record: &Arc<KeyRecord>| match self.examine_row(record) {
            Finding::Fine => None,
            Finding::Fault(fault) | Finding::Due(fault, _) => Some((record.id, fault)),
        };
        Ok(BindingPage {
            looked_at: page.records.len() + usize::from(unreadable.is_some()),
            faults: (page.records.iter().filter_map(fault))
                .chain(unreadable)
                .collect(),
            next: page.next,
        })
    }

    /// Binds the rows of one page under the current pepper: those that hold under an older one, and with
    /// [`WhenPresent`](crate::service::RowBindingMode::WhenPresent) those that are not bound yet. Go on with [`BoundPage::next`] until there is none; a
    /// pass that was broken off can begin anew, as bound rows are passed over.
    ///
    /// Each row gets a new revision. One event in the trail tells how many are about to be bound, and none tells of a single
    /// row; it is durable before the first of them is written.
    ///
    /// # Security
    ///
    /// A row without a binding is believed as it is: edits made until then are bound with it. Where each row must be bound
    /// ([`Required`](crate::service::RowBindingMode::Required)), such a row is left, or taking a binding away would be all that an edit takes. A row
    /// whose binding does not hold is never bound anew.
    ///
    /// # Errors
    ///
    /// [`LifecycleError::NoRowBinding`]; [`LifecycleError::Audit`], and nothing was changed;
    /// [`LifecycleError::Unavailable`], and some rows may be bound; otherwise as [`KeyService::list`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some rows of the page are bound and the others are not.
    pub async fn bind_records(
        &self,
        actor: &Actor,
        query: ListKeys,
    ) -> Result<BoundPage, LifecycleError> {
        self.check_binds()?;
        let actor = self.admit(actor).await?;
        let Stretch { page, unreadable } = self.stretch_for(&actor, query).await?;
        let mut outcome = BoundPage {
            left: Vec::from_iter(fault_of(unreadable)),
            next: page.next,
            ..BoundPage::default()
        };
        let mut due = Vec::new();
        for record in &page.records {
            match self.examine_row(record) {
                Finding::Fine => {}
                Finding::Due(fault, basis) => due.push((fault, basis)),
                Finding::Fault(fault) => outcome.left.push((record.id, fault)),
            }
        }
        self.announce_binding(&actor, &due).await?;
        for (fault, basis) in due {
            self.bind_row(fault, &basis, &mut outcome).await?;
        }
        Ok(outcome)
    }

    fn check_binds(&self) -> Result<(), LifecycleError> {
        match self.inner.records.mode() {
            Some(_) => Ok(()),
            None => Err(LifecycleError::NoRowBinding),
        }
    }

    fn examine_row(&self, record: &Arc<KeyRecord>) -> Finding {
        let version = record.binding.map(|binding| binding.version());
        match (self.inner.records.vouch_listed(record), version) {
            // SECURITY: where each row must be bound, nobody vouches for such a one, and it is left.
            (Ok(basis), None) => Finding::Due(BindingFault::Unbound, basis),
            (Ok(_), _) if version == self.inner.hashing.current_pepper() => Finding::Fine,
            (Ok(basis), Some(version)) => Finding::Due(BindingFault::Outdated { version }, basis),
            (Err(Unsound::Unbound), _) => Finding::Fault(BindingFault::Unbound),
            (Err(Unsound::Tampered), _) => Finding::Fault(BindingFault::Broken),
            (Err(Unsound::Unknown(_)), version) => Finding::Fault(BindingFault::UnknownPepper {
                version: version.unwrap_or_default(),
            }),
        }
    }

    async fn announce_binding(
        &self,
        actor: &Actor,
        due: &[(BindingFault, Basis)],
    ) -> Result<(), LifecycleError> {
        if due.is_empty() {
            return Ok(());
        }
        let unbound = due
            .iter()
            .filter(|(fault, _)| *fault == BindingFault::Unbound);
        let (unbound, all) = (count(unbound.count()), count(due.len()));
        let counts = [
            ("unbound", unbound),
            ("outdated", all.saturating_sub(unbound)),
        ];
        let view = actor.view(&self.inner.policy);
        let now = self.inner.clock.now();
        let told = self.inner.trail.total(
            AuditKind::KeyUpdated,
            "row_binding",
            actor,
            view,
            &counts,
            now,
        );
        told.await.map_err(|error| {
            self.report_outage("audit", &error);
            LifecycleError::Audit(error)
        })
    }

    async fn bind_row(
        &self,
        fault: BindingFault,
        basis: &Basis,
        outcome: &mut BoundPage,
    ) -> Result<(), LifecycleError> {
        let ready = self
            .inner
            .records
            .ready(basis, basis.record().clone())
            .map_err(LifecycleError::unavailable)?;
        let count = match self.inner.records.update(&ready).await {
            Ok(_) if fault == BindingFault::Unbound => &mut outcome.bound,
            Ok(_) => &mut outcome.renewed,
            Err(StoreError::Conflict | StoreError::NotFound) => &mut outcome.lost,
            Err(error) => {
                self.report_outage("change", &error);
                return Err(error.into());
            }
        };
        *count = count.saturating_add(1);
        Ok(())
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
