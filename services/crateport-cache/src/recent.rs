//! The fills that ended well a short while ago, for reports: so many and no more, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crateport_types::{ResourceKind, StoreKey};

/// Fills that are remembered.
const FILLS_MAX: usize = 50;

/// A fill that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentFill {
    /// When it ended.
    pub ended: SystemTime,
    /// The registry or dist origin.
    pub origin: String,
    /// What kind of thing it fetched.
    pub resource: ResourceKind,
    /// Where it is kept.
    pub key: StoreKey,
    /// How large it is.
    pub size_bytes: u64,
    /// From the head of upstream's answer to the last byte in the store.
    pub took: Duration,
    /// Whether the store has it; if not, it was served all the same.
    pub is_kept: bool,
}

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct RecentFills(Mutex<VecDeque<RecentFill>>);

impl RecentFills {
    pub(crate) fn note(&self, fill: RecentFill) {
        let mut fills = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fills.truncate(FILLS_MAX - 1);
        fills.push_front(fill);
    }

    /// The newest first.
    pub(crate) fn all(&self) -> Vec<RecentFill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_remembered() {
        let fills = RecentFills::default();
        for number in 0..(FILLS_MAX as u64 + 7) {
            fills.note(RecentFill {
                ended: SystemTime::UNIX_EPOCH,
                origin: "crates-io".to_owned(),
                resource: ResourceKind::Krate,
                key: StoreKey::check(number),
                size_bytes: number,
                took: Duration::ZERO,
                is_kept: true,
            });
        }
        let sizes = fills.all().iter().map(|fill| fill.size_bytes).collect::<Vec<_>>();
        assert_eq!((sizes.len(), sizes[0], sizes[49]), (FILLS_MAX, 56, 7));
    }
}
