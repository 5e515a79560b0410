use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::time::Timestamp;

/// What one step of a purge removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RemovedPart {
    /// How many events.
    pub events: u64,
    /// The highest position among them, where the trail has positions.
    pub last_position: Option<u64>,
    /// The highest sequence of each recorder among them; of a trail in files, under the name of its file.
    pub last_sequences: BTreeMap<String, u64>,
    /// The files that are gone, oldest first.
    pub files: Vec<PathBuf>,
    /// Bytes of cut-off lines that are gone with a `.torn` file.
    pub torn_bytes: u64,
}

impl RemovedPart {
    /// Notes a sequence of a recorder.
    pub fn note(&mut self, recorder: &str, sequence: Option<u64>) {
        let Some(sequence) = sequence else { return };
        match self.last_sequences.get_mut(recorder) {
            Some(last) => *last = sequence.max(*last),
            None => drop(self.last_sequences.insert(recorder.to_owned(), sequence)),
        }
    }

    fn add(&mut self, part: Self) {
        self.events = self.events.saturating_add(part.events);
        self.last_position = self.last_position.max(part.last_position);
        for (recorder, sequence) in part.last_sequences {
            self.note(&recorder, Some(sequence));
        }
        self.files.extend(part.files);
        self.torn_bytes = self.torn_bytes.saturating_add(part.torn_bytes);
    }
}

/// What a purge removed. It stands in the trail as well.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Everything that happened before this moment was to be removed.
    pub before: Timestamp,
    /// What was.
    pub removed: RemovedPart,
}

impl PurgeReport {
    pub(super) fn new(before: Timestamp) -> Self {
        Self {
            before,
            removed: RemovedPart::default(),
        }
    }

    pub(super) fn add(&mut self, part: RemovedPart) {
        self.removed.add(part);
    }
}
