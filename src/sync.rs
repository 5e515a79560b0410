//! The locks and threads that the interleaving checker has to see.
//!
//! Code whose correctness depends on an interleaving takes its primitives from here. Under `--cfg keyward_shuttle`
//! they are the checker's, otherwise the standard library's.
#![allow(
    unused_imports,
    dead_code,
    reason = "one list serves several modules and features; not each uses all of it"
)]

#[cfg(keyward_shuttle)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic},
    thread,
};
#[cfg(not(keyward_shuttle))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, atomic},
    thread,
};

/// Locks, ignoring poison: no critical section of this crate leaves its data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
