//! Listeners, routes and the status table.
//!
//! [`App`] is the service behind the main listener, [`ops_router`] the one behind the ops listener, and [`listen`]
//! everything between a socket and either of them.

mod app;
mod base;
mod body;
mod client_lines;
mod encoding;
mod installer;
mod inventory;
pub mod listen;
mod listen_metrics;
mod metrics;
mod ops;
mod page;
pub mod readable;
mod readiness;
mod record;
mod report;
mod respond;
mod route;
mod status;

pub use app::{App, AppConfig};
pub use base::BasePolicy;
pub use body::Body;
pub use client_lines::{Scheme, cargo_lines, local_base, rustup_install_line, rustup_lines};
pub use listen_metrics::{register_certificates, register_listeners};
pub use ops::{OpsConfig, ops_router};
pub use readiness::Readiness;
pub use report::{
    Counts, Filled, Held, Origin, Report, Reports, TopCrate, Trouble, UpstreamTimes, Window,
};
