//! The upstream port: how Crateport asks the registries it caches.
//!
//! [`Upstream`] is the contract; [`SparseUpstream`] is the backend that speaks to a sparse registry over HTTP,
//! [`DistUpstream`] the one that fetches toolchains.
//! Nothing here decides what is kept or served: that is the cache's work. The suite in `contract` (feature
//! `contract`) is what every backend runs.

mod address;
mod answer;
mod authorization;
mod body;
mod circuit;
mod client;
mod config;
#[cfg(feature = "contract")]
pub mod contract;
mod dist;
mod dist_url;
mod error;
mod failure;
mod guard;
mod gunzip;
mod host;
mod host_rule;
mod index_url;
mod limits;
mod metrics;
mod offline;
mod origin;
mod peers;
mod port;
mod recent;
mod request;
mod resolve;
mod retry;
mod sparse;
mod waiting;

pub use client::BuildError;
pub use config::{DistConfig, OutboundProxy, PassContext, SparseConfig};
pub use dist::DistUpstream;
pub use dist_url::{DistUrl, InvalidDistUrl};
pub use error::UpstreamError;
pub use host_rule::{AllowEntry, AllowList, HostName, InvalidHost};
pub use index_url::{IndexUrl, InvalidIndexUrl};
pub use limits::UpstreamLimits;
pub use metrics::UpstreamMetrics;
pub use offline::OfflineUpstream;
pub use peers::{FILL_CHECKSUM, FILL_KEY, FILL_PATH, PeerLimits, Peers};
pub use port::{Ask, BodyStream, Condition, Found, Reply, Upstream};
pub use recent::RecentTimes;
pub use sparse::SparseUpstream;
