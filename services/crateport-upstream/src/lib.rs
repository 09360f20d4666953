//! The upstream port: how Crateport asks the registries it caches.
//!
//! [`Upstream`] is the contract; `sparse` is the backend that speaks to a sparse registry over HTTP. Nothing here
//! decides what is kept or served: that is the cache's work.

mod error;
mod port;

pub use error::UpstreamError;
pub use port::{Ask, BodyStream, Condition, Found, Reply, Upstream};
