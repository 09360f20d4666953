//! Who sends which request: connections take turns at a common count.

use std::cell::Cell;

use super::Request;

/// Requests that are still to be sent.
pub(super) struct Tickets<'a> {
    requests: &'a [Request],
    left: Cell<u64>,
    next: Cell<usize>,
}

impl<'a> Tickets<'a> {
    pub(super) fn new(requests: &'a [Request], count: u64) -> Self {
        Self { requests, left: Cell::new(count), next: Cell::new(0) }
    }

    /// The next request, unless all are sent.
    pub(super) fn take(&self) -> Option<&'a Request> {
        self.left.set(self.left.get().checked_sub(1)?);
        let next = self.next.get();
        self.next.set((next + 1) % self.requests.len());
        self.requests.get(next)
    }
}
