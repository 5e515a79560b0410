use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use ::argon2::Block;
use zeroize::Zeroize;

use crate::hash::HashError;

/// The working memory of hashes that have ended, kept for those to come: clearing 19 MiB costs a fifth of a hash.
///
/// What a hash leaves behind stays in it until the next one overwrites it or the pool is dropped; nobody but the hasher
/// can reach it.
pub(super) struct ScratchPool {
    idle: Mutex<Vec<Scratch>>,
    keep: usize,
    largest: usize,
}

/// Wiped on drop.
pub(super) struct Scratch {
    blocks: Vec<Block>,
}

impl ScratchPool {
    /// Keeps at most one list for each core, and none larger than `memory_kib` (a block is one KiB).
    pub(super) fn new(memory_kib: u32) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            keep: available_parallelism().map_or(1, usize::from),
            largest: usize::try_from(memory_kib).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn take(&self, blocks: usize) -> Result<Scratch, HashError> {
        let mut scratch = self.lock().pop().unwrap_or(Scratch { blocks: Vec::new() });
        scratch.grow(blocks)?;
        Ok(scratch)
    }

    pub(super) fn give_back(&self, scratch: Scratch) {
        let mut idle = self.lock();
        if scratch.blocks.len() <= self.largest && idle.len() < self.keep {
            idle.push(scratch);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScratchPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScratchPool(..)")
    }
}

impl Scratch {
    pub(super) fn blocks(&mut self) -> &mut [Block] {
        &mut self.blocks
    }

    /// Replaces the list by a larger one where needed, so that growing leaves no unwiped copy behind.
    fn grow(&mut self, blocks: usize) -> Result<(), HashError> {
        if self.blocks.len() >= blocks {
            return Ok(());
        }
        let mut larger = Vec::new();
        larger
            .try_reserve_exact(blocks)
            .map_err(|_| HashError::OutOfMemory)?;
        larger.resize(blocks, Block::new());
        self.blocks.zeroize();
        self.blocks = larger;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.blocks.zeroize();
    }
}
