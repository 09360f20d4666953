//! The whole service over real sockets: the real listeners, routes, cache, file store and upstream client, in front of
//! a scripted registry.
//!
//! Order comes from gates and from what can be asked of the service itself; no test asserts on elapsed time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod serve {
    pub(crate) mod broken;
    pub(crate) mod config;
    pub(crate) mod faults;
    pub(crate) mod fills;
    pub(crate) mod freshness;
    pub(crate) mod harness;
    pub(crate) mod headers;
    pub(crate) mod index;
    pub(crate) mod log;
    pub(crate) mod ops;
    pub(crate) mod search;
    pub(crate) mod stored;
}
