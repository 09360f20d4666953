//! What is known of an upstream's own `config.json`: where its crates are, and whether it has a web API.
//!
//! Once known it is never waited for again. It is kept in the store, so a restart does not need upstream, and
//! asked for anew in the background when it is old.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use crateport_store::{ObjectStore, Payload as Stored, PutOptions, Read};
use crateport_types::{
    Area, Outcome, Reason, RegistryConfig, RegistryId, Resource, ResourceKind, StoreKey,
};
use crateport_upstream::{Ask, Condition, Reply, UpstreamError};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use tracing::warn;

use crate::cache::{Inner, Registry};
use crate::{Answer, Failure, Payload, ServeError};

/// An upstream's `config.json`, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct KnownConfig {
    known: Mutex<Option<Known>>,
    /// Held while it is being asked for.
    asking: AsyncMutex<()>,
}

#[derive(Clone, Debug)]
struct Known {
    config: Arc<RegistryConfig>,
    /// When upstream was last asked, whatever came of it; `None` while it is only known from the store.
    asked: Option<Instant>,
    /// Whether the store has it. What could not be written is tried again when it is renewed.
    saved: bool,
}

/// Many times what any registry says.
const SIZE_BYTES_MAX: usize = 64 << 10;

/// What makes a store a registry by itself, if it can be one: a `config.json` that leads to its own crates.
#[must_use]
pub fn store_config(store: &dyn ObjectStore, id: &RegistryId) -> Option<(StoreKey, Bytes)> {
    let (base, crates) = (store.base_url()?, Area::Crates(id.clone()).prefix());
    let dl = format!("{base}{crates}{{crate}}/{{crate}}-{{version}}.crate");
    let own = RegistryConfig { dl, api: None, auth_required: false };
    Some((StoreKey::config(id), serde_json::to_vec(&own).ok()?.into()))
}

impl KnownConfig {
    fn get(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// Whether upstream was asked for it since this process began.
    fn was_asked(&self) -> bool {
        self.get().is_some_and(|known| known.asked.is_some())
    }
}

impl Inner {
    pub(crate) async fn serve_config(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
    ) -> Result<Answer, ServeError> {
        let known_before = registry.config.get().is_some();
        let config = self.upstream_config(registry).await.map_err(|failure| {
            let what = format!("config.json of {}", registry.policy.id);
            ServeError::Unavailable { what, failure }
        })?;
        let (outcome, reason) = if known_before || !registry.config.was_asked() {
            (Outcome::Hit, Reason::Own)
        } else {
            (Outcome::Fill, Reason::Missing)
        };
        let payload = Payload::Config(config);
        Ok(Answer { outcome, reason, upstream_status: None, age: None, payload })
    }

    /// Upstream's `config.json`; asks upstream only when it was never known.
    pub(crate) async fn upstream_config(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
    ) -> Result<Arc<RegistryConfig>, Failure> {
        if let Some(known) = registry.config.get() {
            let old =
                known.asked.is_none_or(|asked| asked.elapsed() >= registry.policy.config_ttl());
            let is_asked = registry.upstream.condition() != Condition::Offline;
            if old && is_asked && registry.config.asking.try_lock().is_ok() {
                let (cache, registry) = (Arc::clone(self), Arc::clone(registry));
                self.tasks.spawn(async move { cache.renew_config(&registry).await });
            }
            return Ok(known.config);
        }
        let learn = self.learn_config(registry);
        match tokio::time::timeout(self.limits.wait_max, learn).await {
            Ok(learnt) => learnt,
            Err(_) => Err(Failure::own(
                Reason::UpstreamTimeout,
                "upstream did not give its config.json in time",
            )),
        }
    }

    async fn learn_config(&self, registry: &Registry) -> Result<Arc<RegistryConfig>, Failure> {
        let _asking = registry.config.asking.lock().await;
        if let Some(known) = registry.config.get() {
            return Ok(known.config);
        }
        if let Some(config) = self.stored_config(registry).await {
            let known = Known { config: Arc::clone(&config), asked: None, saved: true };
            registry.config.set(known);
            return Ok(config);
        }
        if registry.upstream.condition() == Condition::Offline {
            // Clients get this Crateport's own, for which no more need be known.
            let bare = RegistryConfig { dl: String::new(), api: None, auth_required: false };
            return Ok(Arc::new(bare));
        }
        Ok(self.ask_config(registry).await?)
    }

    async fn renew_config(&self, registry: &Registry) {
        let Ok(_asking) = registry.config.asking.try_lock() else { return };
        if let Err(error) = self.ask_config(registry).await {
            warn!(registry = %registry.policy.id, %error, "upstream's config.json could not be renewed");
            if let Some(known) = registry.config.get() {
                registry.config.set(Known { asked: Some(Instant::now()), ..known });
            }
        }
    }

    async fn stored_config(&self, registry: &Registry) -> Option<Arc<RegistryConfig>> {
        let key = Resource::Config.key(&registry.policy.id)?;
        let object = self.ports.store.get(&key, Read::whole()).await.ok()??;
        let bytes = object.collect(SIZE_BYTES_MAX).await.ok()?;
        RegistryConfig::parse(&bytes).ok().map(Arc::new)
    }

    async fn ask_config(&self, registry: &Registry) -> Result<Arc<RegistryConfig>, UpstreamError> {
        let invalid = |detail: String| UpstreamError::Invalid {
            host: registry.policy.id.to_string(),
            detail,
        };
        let found = match registry.upstream.fetch(Ask::Config).await? {
            Reply::Found(found) => found,
            Reply::Absent => {
                return Err(invalid("it has no config.json, so it is no sparse registry".into()));
            }
            Reply::Unchanged => return Err(invalid("304 to an unconditional request".into())),
        };
        let bytes = found.collect(SIZE_BYTES_MAX).await?;
        let config = RegistryConfig::parse(&bytes).map_err(|error| invalid(error.to_string()))?;
        let config = Arc::new(config);
        let before = registry.config.get();
        let saved = before.is_some_and(|known| known.saved && known.config == config);
        let known = Known { config: Arc::clone(&config), asked: Some(Instant::now()), saved };
        registry.config.set(known.clone());
        self.metrics.fill(ResourceKind::Config, crate::metrics::STORED);
        if !saved && self.keep_config(registry, bytes).await {
            registry.config.set(Known { saved: true, ..known });
        }
        Ok(config)
    }

    /// Keeps upstream's `config.json`, and beside the index one that makes the store a registry by itself. Tells
    /// whether both were kept.
    async fn keep_config(&self, registry: &Registry, bytes: Bytes) -> bool {
        let id = &registry.policy.id;
        let mut objects = vec![(StoreKey::upstream_config(id), bytes)];
        objects.extend(store_config(&*self.ports.store, id));
        let mut saved = true;
        for (key, bytes) in objects {
            if let Err(error) =
                self.ports.store.put(&key, Stored::Bytes(bytes), PutOptions::default()).await
            {
                self.metrics.store_failures.inc();
                warn!(%key, %error, "could not be kept");
                saved = false;
            }
        }
        saved
    }
}
