//! What the upstream was asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

/// Requests by path.
#[derive(Default)]
pub(super) struct Counts(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    by_path: HashMap<String, u64>,
    not_modified: u64,
    not_found: u64,
}

impl Counts {
    pub(super) fn add(&self, path: &str, status: StatusCode) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.by_path.get_mut(path) {
            Some(count) => *count += 1,
            None => {
                counted.by_path.insert(path.to_owned(), 1);
            }
        }
        counted.not_modified += u64::from(status == StatusCode::NOT_MODIFIED);
        counted.not_found += u64::from(status == StatusCode::NOT_FOUND);
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Counted::default();
    }

    pub(super) fn report(&self) -> Value {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |part: &str| -> u64 {
            let paths = counted.by_path.iter().filter(|(path, _)| path.starts_with(part));
            paths.map(|(_, count)| count).sum()
        };
        let crates = counted.by_path.iter().filter(|(path, _)| path.starts_with("/crates/"));
        json!({
            "total": sum("/"),
            "index": sum("/index/"),
            "crates": sum("/crates/"),
            "crate_most": crates.map(|(_, count)| *count).max().unwrap_or(0),
            "not_modified": counted.not_modified,
            "not_found": counted.not_found,
        })
    }
}
