//! Repairing one object: it is dropped, and the cache fetches it again.
//!
//! What may be right stays: an object that the store does not give now, a crate whose index file is gone, a dist file of
//! which nothing tells the checksum while upstream cannot be asked.

use crateport_cache::Cache;
use crateport_types::{DistObject, Named, Resource, StoreKey};

use super::{Fault, Repair, Verifier, sentence};
use crate::fetch::fetch;
use crate::warm::{NOT_KEPT, settled};

impl Verifier {
    /// Drops what is wrong, and has it fetched again.
    pub(super) async fn repair(&self, key: &StoreKey, fault: &Fault) -> Repair {
        let Some(cache) = &self.repairer else { return Repair::None };
        if matches!(fault, Fault::Unreadable(_)) {
            return Repair::Failed("the store may give it later, so it stays".to_owned());
        }
        let needed = match (self.dist_object(key), key.named()) {
            (Some((dist, DistObject::File(path))), _) => {
                Some((dist.to_string(), Resource::Dist(path)))
            }
            // What is given is asked for again when somebody wants it.
            (Some((_, DistObject::Snapshot(..) | DistObject::Given(_))), _) => None,
            (None, Named::Krate(registry, name, version)) => {
                Some((registry.to_string(), Resource::Krate { name, version }))
            }
            (None, Named::IndexFile(registry, name)) => {
                Some((registry.to_string(), Resource::IndexFile(name)))
            }
            (None, Named::UpstreamConfig(registry) | Named::Config(registry)) => {
                Some((registry.to_string(), Resource::Config))
            }
            (None, Named::Usage(_) | Named::Other) => None,
        };
        let (origin, resource) = match needed {
            Some(needed) => needed,
            None => {
                return match self.store.delete(key).await {
                    Ok(_) => Repair::Dropped,
                    Err(error) => Repair::Failed(sentence(&error)),
                };
            }
        };
        if let Err(why) = self.know(cache, &origin, &resource, fault).await {
            return Repair::Failed(why);
        }
        // A crate that only lacks its index file stays: fetching it brings the index file.
        if *fault != Fault::Unlisted || matches!(resource, Resource::Dist(_)) {
            if let Err(error) = self.store.delete(key).await {
                return Repair::Failed(sentence(&error));
            }
            // The store's own config.json is made from upstream's.
            if let Named::Config(registry) = key.named()
                && let Err(error) = self.store.delete(&StoreKey::upstream_config(&registry)).await
            {
                return Repair::Failed(sentence(&error));
            }
            cache.forget(key).await;
        }
        if let Err(error) = Box::pin(fetch(cache, &origin, &resource)).await {
            return Repair::Failed(error.to_string());
        }
        match settled(cache, key).await {
            Ok(true) => Repair::Fetched,
            Ok(false) => Repair::Failed(NOT_KEPT.to_owned()),
            Err(error) => Repair::Failed(sentence(&error)),
        }
    }

    /// Whether something tells the checksum of a dist file that has lost it, so that it can be fetched again. It may be
    /// right, and must not be lost while upstream is gone.
    async fn know(
        &self,
        cache: &Cache,
        origin: &str,
        resource: &Resource,
        fault: &Fault,
    ) -> Result<(), String> {
        let (Resource::Dist(path), Fault::Unlisted) = (resource, fault) else { return Ok(()) };
        let sum = path.sum().ok_or("nothing can tell its checksum")?;
        let known = Box::pin(fetch(cache, origin, &Resource::Dist(sum))).await;
        known.map(drop).map_err(|error| error.to_string())
    }
}
