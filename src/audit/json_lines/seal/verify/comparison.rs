//! The lines beside the checkpoints.

use std::path::Path;
use std::sync::Arc;

use super::super::super::verify::Line;
use super::super::Checkpoint;
use super::super::tree::Tree;
use super::SealError;
use crate::audit::{ChainReport, LineHash};

/// The tree of the lines, grown beside the checkpoints.
pub(super) struct Comparison<'c> {
    /// By size, smallest first.
    checkpoints: Vec<&'c Checkpoint>,
    /// How many of them are about lines before those that were seen.
    passed: usize,
    pub(super) compared: u64,
    /// `None` as long as no checkpoint says how many lines came before.
    tree: Option<Tree>,
    pub(super) missing: u64,
    seen: u64,
    /// The first line that no checkpoint vouches for yet.
    doubtful: Option<(Arc<Path>, u64)>,
}

impl<'c> Comparison<'c> {
    pub(super) fn of(beside: &'c [Checkpoint], kept: &'c [Checkpoint]) -> Self {
        let mut checkpoints: Vec<_> = beside.iter().chain(kept).collect();
        checkpoints.sort_by_key(|checkpoint| checkpoint.size());
        Self {
            checkpoints,
            passed: 0,
            compared: 0,
            tree: None,
            missing: 0,
            seen: 0,
            doubtful: None,
        }
    }

    pub(super) fn sealed(&self) -> u64 {
        self.checkpoints.last().map_or(0, |newest| newest.size())
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<(), SealError> {
        if self.tree.is_none() {
            self.start(line.prev().unwrap_or(LineHash::START));
        }
        self.doubtful
            .get_or_insert_with(|| (Arc::clone(&line.file), line.number));
        self.seen = self.seen.saturating_add(1);
        match &mut self.tree {
            Some(tree) => {
                tree.push(&line.bytes);
                self.compare()
            }
            None => self.connect(line.hash),
        }
    }

    /// Starts before a line if a checkpoint ends there, or the first one begins there.
    fn start(&mut self, prev: LineHash) {
        let mut all = self.checkpoints.iter();
        let begins = all.clone().any(|checkpoint| checkpoint.from() == prev);
        if begins {
            self.tree = Some(Tree::default());
        } else if let Some(before) = all.find(|checkpoint| checkpoint.last_hash() == prev) {
            self.go_on_from(before.tree().clone());
        }
    }

    /// Starts after a line if a checkpoint ends there. The chain ties the lines before to it.
    fn connect(&mut self, hash: LineHash) -> Result<(), SealError> {
        let mut all = self.checkpoints.iter().copied();
        let Some(here) = all.find(|checkpoint| checkpoint.last_hash() == hash) else {
            return Ok(());
        };
        self.go_on_from(here.tree().clone());
        // One that ends at a line before would have been found there.
        let before =
            |other: &&&Checkpoint| other.size() > self.missing && other.size() < here.size();
        if let Some(other) = self.checkpoints.iter().find(before) {
            return Err(self.rewritten(other));
        }
        self.compared = self.compared.saturating_add(1);
        self.doubtful = None;
        Ok(())
    }

    fn go_on_from(&mut self, tree: Tree) {
        self.missing = tree.size().saturating_sub(self.seen);
        self.passed = self
            .checkpoints
            .partition_point(|other| other.size() <= tree.size());
        self.tree = Some(tree);
    }

    fn compare(&mut self) -> Result<(), SealError> {
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        while let Some(checkpoint) = self.checkpoints.get(self.passed) {
            if checkpoint.size() != tree.size() {
                break;
            }
            if *checkpoint.root() != tree.root() {
                return Err(self.rewritten(checkpoint));
            }
            self.passed = self.passed.saturating_add(1);
            self.compared = self.compared.saturating_add(1);
            self.doubtful = None;
        }
        Ok(())
    }

    /// Returns how many lines the tree has.
    pub(super) fn lines(&self) -> u64 {
        self.tree.as_ref().map_or(0, Tree::size)
    }

    fn rewritten(&self, checkpoint: &Checkpoint) -> SealError {
        let doubtful = self.doubtful.as_ref();
        SealError::Rewritten {
            sealed: checkpoint.size(),
            file: doubtful
                .map(|(file, _)| file.to_path_buf())
                .unwrap_or_default(),
            line: doubtful.map_or(1, |(_, line)| *line),
        }
    }

    /// Says whether all that was sealed is there.
    pub(super) fn end(&self, chain: &ChainReport) -> Result<(), SealError> {
        let sealed = self.sealed();
        let present = match &self.tree {
            Some(tree) => tree.size(),
            None if chain.lines == 0 => 0,
            None => return Err(SealError::Unconnected),
        };
        if present < sealed {
            return Err(SealError::Truncated { present, sealed });
        }
        Ok(())
    }
}
