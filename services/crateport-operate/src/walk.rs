//! Through an area of the store, page by page.

use crateport_store::{ObjectMeta, ObjectStore, StoreError};
use crateport_types::{Area, StoreKey};

/// Keys in memory at once. A directory is read once for each page, so pages are large.
const PAGE_KEYS: usize = 10_000;

/// An area that is being listed. What is deleted or written meanwhile may be seen or not.
pub(crate) struct Walk<'a> {
    store: &'a dyn ObjectStore,
    area: Area,
    after: Option<StoreKey>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(store: &'a dyn ObjectStore, area: Area) -> Self {
        Self { store, area, after: None, is_over: false }
    }

    /// The next keys in ascending order; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(StoreKey, ObjectMeta)>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.store.list(&self.area, self.after.as_ref(), PAGE_KEYS).await?;
        self.is_over = page.len() < PAGE_KEYS;
        self.after = page.last().map(|(key, _)| key.clone());
        Ok(Some(page))
    }
}
