//! The sparse backend against real sockets: what it makes of an upstream that behaves, and of one that does not.
//!
//! Every module says that it is a test, so that the lints which spare tests spare its helpers too.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod circuit;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crates;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod index_files;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
