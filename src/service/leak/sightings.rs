//! Whose keys are being looked at just now, and which were written down already.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::key::{Generation, KeyId};
use crate::rate_limit::Subject;
use crate::sync::{Mutex, lock};

/// All but the slow hashes is over in milliseconds. They run one at a time, so more would only wait.
const MOST_AT_ONCE: usize = 16;
/// Some 200 kB. Beyond that a secret may be written down once more.
const REMEMBERED: usize = 10_000;

/// SECURITY: one turn an address and one a key, so that a flood from one address keeps nobody else's exposure from being
/// looked at, and neither does one against a key whose id and hint are known.
#[derive(Debug, Default)]
pub(in crate::service) struct Sightings {
    turns: Mutex<Turns>,
    reported: Mutex<HashSet<(KeyId, Generation)>>,
}

#[derive(Debug, Default)]
struct Turns {
    taken: usize,
    sources: HashSet<Subject<'static>>,
    keys: HashSet<KeyId>,
}

/// The right to have the keys of one request looked at. Given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    sightings: Arc<Sightings>,
    source: Option<Subject<'static>>,
}

/// The right to look at one key. Given back when dropped.
#[derive(Debug)]
pub(super) struct KeyTurn<'a> {
    sightings: &'a Sightings,
    key: KeyId,
}

impl Sightings {
    /// Takes a turn for an address (IPv6: its /64); `None` if it has one, or if all are taken.
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Turn> {
        let source = client.map(Subject::ip);
        let mut turns = lock(&self.turns);
        if turns.taken >= MOST_AT_ONCE || source.is_some_and(|it| !turns.sources.insert(it)) {
            return None;
        }
        turns.taken = turns.taken.saturating_add(1);
        Some(Turn {
            sightings: Arc::clone(self),
            source,
        })
    }

    /// Returns whether that secret is to be written down: it was not before.
    pub(super) fn is_news(&self, key: KeyId, generation: Generation) -> bool {
        let mut reported = lock(&self.reported);
        if reported.len() >= REMEMBERED {
            reported.clear();
        }
        reported.insert((key, generation))
    }

    /// It was written down with a change of its record.
    pub(super) fn note(&self, key: KeyId, generation: Generation) {
        self.is_news(key, generation);
    }

    /// It could not be written down.
    pub(super) fn forget(&self, key: KeyId, generation: Generation) {
        lock(&self.reported).remove(&(key, generation));
    }
}

impl Turn {
    pub(super) fn key(&self, key: KeyId) -> Option<KeyTurn<'_>> {
        let sightings = &*self.sightings;
        let is_free = lock(&sightings.turns).keys.insert(key);
        // Made only if it is: one that is dropped gives the turn back.
        is_free.then(|| KeyTurn { sightings, key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = lock(&self.sightings.turns);
        turns.taken = turns.taken.saturating_sub(1);
        if let Some(source) = self.source {
            turns.sources.remove(&source);
        }
    }
}

impl Drop for KeyTurn<'_> {
    fn drop(&mut self) {
        lock(&self.sightings.turns).keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(sightings: &Arc<Sightings>, client: &str) -> Option<Turn> {
        sightings.take(Some(client.parse().unwrap()))
    }

    #[test]
    fn gives_an_address_one_turn_and_ipv6_one_a_network() {
        let sightings = Arc::<Sightings>::default();
        let first = from(&sightings, "192.0.2.7");
        assert!(first.is_some());
        assert!((0..2).all(|_| from(&sightings, "192.0.2.7").is_none()));
        let other = from(&sightings, "2001:db8::1");
        assert!(other.is_some() && from(&sightings, "2001:db8::2").is_none());
        drop(first);
        assert!(from(&sightings, "192.0.2.7").is_some());
    }

    #[test]
    fn gives_sixteen_turns_in_all() {
        let sightings = Arc::<Sightings>::default();
        let turns: Vec<_> = (0..MOST_AT_ONCE).map(|_| sightings.take(None)).collect();
        assert!(turns.iter().all(Option::is_some));
        assert!(sightings.take(None).is_none() && from(&sightings, "192.0.2.7").is_none());
        drop(turns);
        assert!(from(&sightings, "192.0.2.7").is_some());
    }

    #[test]
    fn gives_a_key_one_turn() {
        let sightings = Arc::<Sightings>::default();
        let (one, other) = (sightings.take(None).unwrap(), sightings.take(None).unwrap());
        let id: KeyId = "0aZ9bY8cX7dW".parse().unwrap();
        let first = one.key(id);
        assert!(first.is_some());
        // Asking does not give it back.
        assert!(other.key(id).is_none() && other.key(id).is_none());
        drop(first);
        assert!(other.key(id).is_some());
    }

    #[test]
    fn knows_what_is_no_news_until_it_is_told_to_forget() {
        let sightings = Sightings::default();
        let id: KeyId = "0aZ9bY8cX7dW".parse().unwrap();
        assert!(sightings.is_news(id, Generation::FIRST));
        assert!(!sightings.is_news(id, Generation::FIRST));
        assert!(sightings.is_news(id, Generation::new(2)));
        sightings.forget(id, Generation::FIRST);
        assert!(sightings.is_news(id, Generation::FIRST));
    }
}
