//! The open connections, so that a shutdown reaches each of them.
//!
//! A cancellation token would do the same, at the price of two locks in every poll of every connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::activity::{Activity, Phase};
use super::stats::ListenStats;

/// Every open connection of a server.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last_id: u64,
    connections: HashMap<u64, Arc<Activity>>,
}

/// A connection's place in the roster; dropping it strikes the connection off.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    roster: Arc<Roster>,
    stats: Arc<ListenStats>,
}

/// Cuts every connection when it is dropped, so that a server that is dropped leaves none behind.
#[derive(Debug)]
pub(crate) struct CutOnDrop(pub(crate) Arc<Roster>);

impl Roster {
    pub(crate) fn enter(
        self: &Arc<Self>,
        activity: &Arc<Activity>,
        stats: &Arc<ListenStats>,
    ) -> Entry {
        let mut open = self.lock();
        open.last_id += 1;
        let id = open.last_id;
        open.connections.insert(id, Arc::clone(activity));
        stats.connections_open.add_one();
        Entry { id, roster: Arc::clone(self), stats: Arc::clone(stats) }
    }

    /// Tells every open connection what is wanted of it, and says how many there are.
    pub(crate) fn order(&self, phase: Phase) -> usize {
        let open = self.lock();
        for activity in open.connections.values() {
            activity.order(phase);
        }
        open.connections.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.lock().connections.remove(&self.id);
        self.stats.connections_open.subtract_one();
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.order(Phase::Cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reaches_those_who_are_there() {
        let (roster, stats) = (Arc::new(Roster::default()), Arc::new(ListenStats::default()));
        let (gone, here) = (Arc::new(Activity::new()), Arc::new(Activity::new()));
        drop(roster.enter(&gone, &stats));
        let _entry = roster.enter(&here, &stats);
        assert_eq!(stats.snapshot().connections_open, 1);
        assert_eq!(roster.order(Phase::Draining), 1);
        assert_eq!((gone.phase(), here.phase()), (Phase::Serving, Phase::Draining));
    }
}
