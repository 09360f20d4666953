//! Real parts for tests: a scripted upstream, builders of crates and toolchains, a TCP chaos proxy, the real cargo, the
//! real rustup, the real binary.
//!
//! Nothing here is a mock: sockets are sockets, archives are archives, cargo is cargo. The kit depends on no other
//! Crateport package, so that it judges them from outside. A part that is misused or waits in vain panics, which is a
//! failed test; every wait has a deadline in real time.
//!
//! The servers run on threads of their own, so they work under any test runtime. Do not pause tokio's clock in a test
//! that talks to them: a paused clock jumps while sockets are awaited.
//!
//! ```no_run
//! use std::time::Duration;
//! use crateport_testkit::{Cargo, Crateport, CrateportOptions, Fault, On, ScriptedUpstream, Times, krate};
//!
//! # async fn example() {
//! let upstream = ScriptedUpstream::start().await;
//! krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").publish(&upstream);
//! krate("a", "1.2.0").dep("b", "1").lib("pub fn four() -> u8 { b::two() * 2 }").publish(&upstream);
//!
//! let options = CrateportOptions::default().upstream("crates-io", &upstream.index_url());
//! let mut crateport = Crateport::start(options).await;
//! let cargo = Cargo::new()
//!     .replaces_crates_io_with(&crateport.index_url("crates-io"))
//!     .project(|project| project.dep("a", "1").main("fn main() { assert_eq!(a::four(), 4) }"));
//! cargo.run(&["build"]).await.succeeds();
//! assert_eq!(upstream.crate_hits("a", "1.2.0"), 1);
//!
//! upstream.fault(On::All, Fault::Hang, Times::Always);
//! cargo.fresh_home().run(&["fetch", "--locked"]).await.succeeds();
//! crateport.kill9();
//! # }
//! ```
//!
//! Order in concurrent tests comes from gates, not from sleeps:
//!
//! ```no_run
//! # async fn example(upstream: &crateport_testkit::ScriptedUpstream) {
//! # use crateport_testkit::On;
//! let gate = upstream.hold(On::Crates);
//! // … start 200 clients …
//! gate.wait_for(1).await;
//! gate.release();
//! # }
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a panic is a failed test"
)]

pub mod balancer;
pub mod cargo;
pub mod chaos;
pub mod client;
pub mod collector;
pub mod krate;
pub mod process;
pub mod redis;
pub mod rustup;
pub mod s3;
pub mod tls;
pub mod toolchain;
pub mod upstream;

mod own_runtime;
mod port;
mod program;

pub use self::balancer::{Balancer, Service};
pub use self::cargo::Cargo;
pub use self::chaos::{ChaosProxy, Mode};
pub use self::client::{Client, Ending, RawRequest};
pub use self::collector::{Collector, SeenSpan};
pub use self::krate::{Dependency, KIB, Kind, MIB, Published, krate};
pub use self::process::{Crateport, CrateportOptions};
pub use self::program::ProgramRun;
pub use self::redis::RedisServer;
pub use self::rustup::Rustup;
pub use self::s3::{S3Dialect, S3Fault, S3Operation, S3Server};
pub use self::tls::TestCa;
pub use self::toolchain::{host_triple, release_rustup, toolchain};
pub use self::upstream::{Fault, Framing, Gate, On, ScriptedUpstream, Times, Validators};
