//! The operator's hands on real stores.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod house;
mod sweep;
