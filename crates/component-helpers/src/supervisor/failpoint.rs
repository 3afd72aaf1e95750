//! Failpoints: lines of a component at which a test injects a panic.
//!
//! They exist in tests only, in tests of other crates by the feature `failpoints`; released programs contain none. Each
//! supervisor has its own, so that tests of one process do not affect each other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Supervisor;

/// Number of panics still to inject, by failpoint.
#[derive(Default)]
pub(super) struct Failpoints(Mutex<HashMap<String, u32>>);

impl Failpoints {
    pub(super) fn hit(&self, name: &str) {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = armed.get_mut(name).filter(|left| **left > 0) else {
            return;
        };
        *left -= 1;
        drop(armed);
        panic!("failpoint");
    }
}

impl Supervisor {
    /// Makes the next `times` hits of a failpoint panic. A component's failpoint has its name; an item's has the item's
    /// name behind it, separated by a space.
    pub fn arm(&self, failpoint: &str, times: u32) {
        let armed = self.shared.failpoints.0.lock();
        let mut armed = armed.unwrap_or_else(PoisonError::into_inner);
        armed.insert(failpoint.to_owned(), times);
    }
}
