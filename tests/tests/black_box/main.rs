//! The real binary under the real cargo and the real rustup, over real sockets, against an upstream that does what the test says.
//!
//! Everything is hermetic but [`live`], which needs crates.io. Nothing here sleeps to be right: order comes from the
//! upstream's gates, and waits are for events, under deadlines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

mod at_once;
mod audit;
mod bare;
mod house;
mod toolchains;
mod tree;

mod bases;
mod bounds;
mod cargo_commands;
mod cargo_under_faults;
mod carried;
mod client_leaves;
mod crates;
mod damage;
mod dl;
mod faults;
mod figures;
mod first_byte;
mod fleet;
mod freshness;
mod index_files;
mod listeners;
mod live;
mod main_job;
mod no_wrong_byte;
mod on_s3;
mod one_fetch;
mod ops;
mod purges;
mod registries;
mod reload;
mod replica_dies;
mod reports;
mod rolling_restart;
mod rustup;
mod rustup_artifacts;
mod rustup_installer;
mod rustup_snapshots;
mod shutdown;
mod start;
mod store_alone;
mod store_gone;
mod supervised;
mod swept;
mod traces;
mod upstream_dies;
mod verified;
mod warmed;
