//! The listeners over real sockets: protocols, limits, shutdown.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod h1;
mod h2;
mod h2c;
mod limits;
mod shutdown;
mod support;
mod tls;
