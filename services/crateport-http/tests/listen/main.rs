//! The listeners over real sockets: protocols, limits, shutdown.

mod h1;
mod h2;
mod h2c;
mod limits;
mod shutdown;
mod support;
mod tls;
