//! What a report tells: plain figures, as they stand in its JSON.

use crateport_types::Moment;
use serde::{Deserialize, Serialize};

/// What a replica holds and does. Programs read it as JSON; new fields may come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The replica that tells.
    pub replica: String,
    /// Its version.
    pub version: String,
    /// When it was made.
    pub made: Moment,
    /// Since when the replica counts.
    pub since: Moment,
    /// When the store was counted; it was not yet, if this is missing.
    pub counted: Option<Moment>,
    /// What the whole store holds, by registry and dist origin.
    pub origins: Vec<Origin>,
    /// How requests ended here, in the last 1, 6 and 24 hours.
    pub windows: Vec<Window>,
    /// The same of the last 24 hours for each quarter of an hour, the oldest first.
    pub quarters: Vec<Counts>,
    /// The crates fetched most.
    pub top_crates: Vec<TopCrate>,
    /// Since when they are counted.
    pub top_crates_since: Moment,
    /// How long upstreams took, the slowest first.
    pub upstreams: Vec<UpstreamTimes>,
    /// The last errors that clients have seen, the newest first.
    pub errors: Vec<Trouble>,
    /// What was fetched last, the newest first.
    pub fills: Vec<Filled>,
}

/// A registry or a dist origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its id.
    pub id: String,
    /// Whether it is a dist origin.
    pub is_dist: bool,
    /// How its upstream is: `healthy`, `slow`, `down` or `offline`.
    pub upstream: String,
    /// What of it is in the store, by kind, once that was counted.
    pub held: Vec<Held>,
}

/// Objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// `index`, `crate` or `dist`.
    pub kind: String,
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How requests ended in the last hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// So many, and the current minute.
    pub hours: u64,
    /// Index files, crates and dist files together.
    pub all: Counts,
    /// Index files.
    pub index: Counts,
    /// Crates.
    #[serde(rename = "crate")]
    pub krate: Counts,
    /// Dist files.
    pub dist: Counts,
}

/// How some requests ended. Those that were answered with something are hits, if it was here or on its way already
/// (`hit`, `stale`, `join`); the others had upstream asked (`fill`, `revalidated`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Answered with something.
    pub requests: u64,
    /// Hits among them.
    pub hits: u64,
    /// What the answered ones were sent, or sent elsewhere for.
    pub bytes: u64,
    /// The hits' part of it.
    pub hit_bytes: u64,
    /// Could not be answered; not among the requests.
    pub failures: u64,
}

/// A crate and how often it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopCrate {
    /// Its registry.
    pub registry: String,
    /// Its name.
    #[serde(rename = "crate")]
    pub krate: String,
    /// At least so often, in any version.
    pub requests: u64,
}

/// How long the last attempts to ask an upstream took: at most 256 of each kind, of the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTimes {
    /// The registry or dist origin.
    pub origin: String,
    /// What was asked for.
    pub resource: String,
    /// How many attempts.
    pub attempts: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Half took no longer.
    pub median_ms: u64,
    /// 95 of 100 took no longer.
    pub p95_ms: u64,
    /// None took longer.
    pub slowest_ms: u64,
}

/// An error that clients have seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The first time.
    pub first: Moment,
    /// The last time.
    pub last: Moment,
    /// How often.
    pub count: u64,
    /// The registry or dist origin; empty if it is none of ours.
    pub origin: String,
    /// What kind of thing was asked for.
    pub resource: String,
    /// Where.
    pub path: String,
    /// The status it was answered with.
    pub status: u16,
    /// Why, in a word.
    pub reason: String,
    /// What upstream answered, if it did.
    pub upstream_status: Option<u16>,
    /// Why, in a sentence, which may name hosts.
    pub detail: String,
}

/// A fill that ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// When it ended.
    pub ended: Moment,
    /// The registry or dist origin.
    pub origin: String,
    /// What kind of thing it is.
    pub resource: String,
    /// Its name and version, or its path.
    pub what: String,
    /// Its bytes.
    pub bytes: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Whether the store has it; if not, it was served all the same.
    pub is_kept: bool,
}

impl Report {
    /// Reads a report as an ops listener tells it.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

impl Counts {
    /// What came on top of `before`.
    #[must_use]
    pub(super) const fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            hits: self.hits.saturating_sub(before.hits),
            bytes: self.bytes.saturating_sub(before.bytes),
            hit_bytes: self.hit_bytes.saturating_sub(before.hit_bytes),
            failures: self.failures.saturating_sub(before.failures),
        }
    }

    /// Both together.
    #[must_use]
    pub(super) const fn and(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            hits: self.hits.saturating_add(other.hits),
            bytes: self.bytes.saturating_add(other.bytes),
            hit_bytes: self.hit_bytes.saturating_add(other.hit_bytes),
            failures: self.failures.saturating_add(other.failures),
        }
    }

    /// The hits' part of the requests, in whole percent; none of none.
    #[must_use]
    pub fn hit_percent(&self) -> Option<u64> {
        percent(self.hits, self.requests)
    }

    /// The hits' part of the bytes, in whole percent; none of none.
    #[must_use]
    pub fn hit_bytes_percent(&self) -> Option<u64> {
        percent(self.hit_bytes, self.bytes)
    }
}

impl Trouble {
    /// Whether the other is the same again.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.path, &self.reason, self.status) == (&other.path, &other.reason, other.status)
    }
}

/// Rounded down, so that 100 means all of them.
fn percent(part: u64, whole: u64) -> Option<u64> {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole))?;
    u64::try_from(percent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_what_was_answered() {
        for (hits, requests, expected) in [
            (0, 0, None),
            (0, 5, Some(0)),
            (1, 3, Some(33)),
            (999, 1000, Some(99)),
            (1000, 1000, Some(100)),
            (u64::MAX, u64::MAX, Some(100)),
        ] {
            let counts = Counts { hits, requests, ..Counts::default() };
            assert_eq!(counts.hit_percent(), expected);
            let counts = Counts { hit_bytes: hits, bytes: requests, ..Counts::default() };
            assert_eq!(counts.hit_bytes_percent(), expected);
        }
    }
}
