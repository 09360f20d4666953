//! What the operator's commands work with, and on.

use std::sync::Arc;

use crateport_coord::Coordinator;
use crateport_operate::{Retention, Sources, Sweeper};
use crateport_store::ObjectStore;
use crateport_types::{CRATES_IO, DistId, RegistryId};

use crate::settings::Settings;

/// Who sweeps the store.
pub(crate) fn sweeper(
    settings: &Settings,
    store: Arc<dyn ObjectStore>,
    coordinator: Arc<dyn Coordinator>,
) -> Sweeper {
    let (registries, dists) = (registries(settings).collect(), dists(settings).collect());
    Sweeper { store, coordinator, registries, dists, keep_uses: settings.usage_keep }
}

/// The registries that are served.
pub(crate) fn registries(settings: &Settings) -> impl Iterator<Item = RegistryId> {
    let enabled = settings.registries.iter().filter(|registry| registry.is_enabled);
    enabled.map(|registry| registry.id.clone())
}

/// The dist origins that are served.
pub(crate) fn dists(settings: &Settings) -> impl Iterator<Item = DistId> {
    settings.dists.iter().filter(|dist| dist.is_enabled).map(|dist| dist.id.clone())
}

/// Which registries the sources in lock files mean.
pub(crate) fn sources(settings: &Settings) -> Sources {
    let mut sources = Sources::default();
    for registry in settings.registries.iter().filter(|registry| registry.is_enabled) {
        sources.add(registry.index.url().as_str(), &registry.id);
        if registry.id.as_str() == CRATES_IO {
            // What lock files name, wherever its crates come from.
            sources.add(tame_index::CRATES_IO_INDEX, &registry.id);
            sources.add(tame_index::CRATES_IO_HTTP_INDEX, &registry.id);
        }
    }
    sources
}

/// What sweeps keep.
pub(crate) fn retention(settings: &Settings) -> Retention {
    Retention {
        unused_for: settings.sweep_unused_for,
        size_bytes_max: settings.sweep_max_size,
        grace: settings.sweep_grace,
    }
}
