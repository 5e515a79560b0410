//! Keys that the service itself saw where others can read them.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::proof::{Sighting, Spent};
use super::report::{exposed_at, is_live};
use crate::audit::AuditKind;
use crate::key::{Generation, KeyId};
use crate::service::change::{Change, Decision};
use crate::service::{KeyService, LifecycleError};

impl KeyService {
    /// Marks the key as exposed if the string is a live secret of it. In the background, one at a time: while one is being
    /// proved, others are passed over, and whoever sends a key in the wrong place does so again.
    ///
    /// SECURITY: nobody is answered, so this tells nothing; and a wrong secret counts against its sender.
    pub(crate) fn note_exposure(
        &self,
        presented: Zeroizing<Vec<u8>>,
        place: &'static str,
        client: Option<IpAddr>,
    ) {
        let Ok(turn) = std::sync::Arc::clone(&self.inner.sightings).try_acquire_owned() else {
            return;
        };
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            service.look_at_exposed(&presented, place, client).await;
            drop(turn);
        });
    }

    async fn look_at_exposed(&self, presented: &[u8], place: &'static str, client: Option<IpAddr>) {
        let Ok(parsed) = self.inner.format.parse(presented) else {
            return;
        };
        let (id, now) = (parsed.id(), self.inner.clock.now());
        let gate = self.inner.gate.as_ref();
        let blocked = gate
            .zip(client)
            .and_then(|(gate, client)| gate.blocked(client, now));
        if blocked.is_some() && !self.inner.proofs.knows(id.as_str()) {
            return;
        }
        let itself = &self.inner.itself;
        match self.recognise(itself, &parsed, &mut Spent::default()).await {
            Sighting::Live(generation) => {
                // A failure is reported as any other change's, and the key is seen there again.
                drop(self.mark_exposed(&id, generation, place).await);
            }
            Sighting::WrongSecret | Sighting::UnknownKey => {
                if let Some(gate) = gate {
                    gate.charge(client, Some(&id), now);
                }
            }
            Sighting::Ended | Sighting::Publishable | Sighting::Unanswered => {}
        }
    }

    async fn mark_exposed(
        &self,
        id: &KeyId,
        generation: Generation,
        place: &'static str,
    ) -> Result<(), LifecycleError> {
        let change = Change::new(&self.inner.itself, id, AuditKind::KeyExposed);
        let changed = self.change(change, |_, record, now| {
            if record.is_exposed() || !is_live(record, generation, now) {
                return Ok(Decision::Nothing);
            }
            let mut next = record.clone();
            next.exposed_at = Some(exposed_at(record, now));
            let details = vec![("place", place.to_owned()), ("secret", "proved".to_owned())];
            Ok(Decision::Change(Box::new(next), details))
        });
        changed.await.map(|_| ())
    }
}
