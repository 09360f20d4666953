//! The names that upstream does not have, as this replica heard it itself: for a short time they cost neither a look into
//! the store nor a question to the fleet.

use crateport_types::StoreKey;
use tokio::time::Instant;

/// Index files that are not there, and until when that is believed.
#[derive(Clone, Debug)]
pub(crate) struct Gone(moka::future::Cache<StoreKey, Instant>);

impl Gone {
    pub(crate) fn new(names_max: u64) -> Self {
        Self(moka::future::Cache::new(names_max))
    }

    pub(crate) async fn holds(&self, key: &StoreKey) -> bool {
        self.0.get(key).await.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) async fn insert(&self, key: StoreKey, until: Instant) {
        self.0.insert(key, until).await;
    }

    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.0.invalidate(key).await;
    }
}
