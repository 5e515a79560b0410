use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A door that holds threads up until a test opens it. Clones share the door.
///
/// ```
/// use keyward::testing::Gate;
///
/// let gate = Gate::closed();
/// let inside = gate.clone();
/// let thread = std::thread::spawn(move || inside.pass());
/// gate.wait_for(1); // the thread stands before the door now
/// gate.open();
/// thread.join().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug)]
struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Returns an open gate.
    #[must_use]
    pub fn opened() -> Self {
        Self::with(true)
    }

    /// Returns a closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self::with(false)
    }

    fn with(open: bool) -> Self {
        let state = State { open, arrived: 0 };
        Self {
            shared: Arc::new((Mutex::new(state), Condvar::new())),
        }
    }

    /// Lets everybody pass from now on.
    pub fn open(&self) {
        self.state().open = true;
        self.changed().notify_all();
    }

    /// Holds up whoever comes from now on.
    pub fn close(&self) {
        self.state().open = false;
    }

    /// Passes the gate, waiting for as long as it is closed.
    pub fn pass(&self) {
        let mut state = self.state();
        state.arrived += 1;
        self.changed().notify_all();
        while !state.open {
            state = self.wait(state);
        }
    }

    /// Waits until so many passers have arrived since the gate was made.
    pub fn wait_for(&self, arrived: usize) {
        let mut state = self.state();
        while state.arrived < arrived {
            state = self.wait(state);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let (state, _) = &*self.shared;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> &Condvar {
        let (_, changed) = &*self.shared;
        changed
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed()
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
