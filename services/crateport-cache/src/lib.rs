//! The cache: what is kept, what is served, when upstream is asked.
//!
//! [`Cache::serve`] is the heart. It knows three ports (object store, coordinator, upstream) and nothing of HTTP or
//! of their backends.

mod ahead;
mod answer;
mod cache;
mod checked;
mod config;
mod delivery;
mod dist;
mod fill;
mod flight;
mod foresight;
mod freshness;
mod gone;
mod hot;
mod index;
mod known;
mod krate;
mod live_policy;
mod metrics;
mod purge;
mod recent;
mod search;
mod small;
mod spool;
mod stored;
mod trace;
pub mod uses;

pub use answer::{Answer, Failure, Payload, PresignedUrl, ServeError};
pub use cache::{Cache, DistSetup, Ports, RegistrySetup};
pub use config::{CacheLimits, DistPolicy, RegistryPolicy};
pub use delivery::{DeliveryMode, DeliveryPolicy, Redirects};
pub use hot::IndexCopy;
pub use known::store_config;
pub use purge::{Purge, Purged, mark_changed, purge};
pub use recent::RecentFill;
pub use spool::{SpoolError, SpoolReader};
pub use stored::StoredObject;
