//! The operator's hands on real stores.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod house;
mod sweep;
