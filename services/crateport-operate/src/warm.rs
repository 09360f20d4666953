//! Warming: having everything that a lockfile needs fetched before anybody waits for it.
//!
//! What is there already costs next to nothing, so a warming that was cut off is begun again and goes on where it was.

mod here;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crateport_types::{DistClass, Resource, Sha256, StoreKey};
use futures_util::StreamExt as _;
use tokio::time::sleep;

pub use self::here::Here;
pub(crate) use self::here::{NOT_KEPT, settled};
use crate::{Needs, OperateError};

/// Where it shall be warm.
#[async_trait]
pub trait Place: Send + Sync {
    /// Sees to it that a resource is there, with this digest if one is given.
    async fn warm(&self, wanted: &Wanted) -> Result<Warmth, Cold>;

    /// Has a text there, and reads it.
    async fn read(&self, wanted: &Wanted, size_bytes_max: usize) -> Result<Bytes, Cold>;

    /// Waits until what was fetched is kept, and tells what of it is not.
    async fn settle(&self, wanted: &[Wanted]) -> Result<Vec<(Wanted, Cold)>, OperateError>;
}

/// One thing that shall be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of which registry or dist origin.
    pub origin: String,
    /// What.
    pub resource: Resource,
    /// The digest that it must have.
    pub checksum: Option<Sha256>,
}

/// It is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// It was there before.
    Present,
    /// It was fetched.
    Fetched {
        /// Its size.
        size_bytes: u64,
    },
}

/// It is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Cold {
    /// Why, in a sentence.
    pub why: String,
    /// When it may work, if it may at all.
    pub retry_after: Option<Duration>,
}

impl Cold {
    /// Trying again would be of no use.
    pub(crate) fn for_good(why: &dyn std::error::Error) -> Self {
        Self { why: why.to_string(), retry_after: None }
    }

    /// The lockfile and the registry do not agree.
    #[must_use]
    pub fn other_checksum() -> Self {
        let why = "the registry's has another checksum than the lockfile's".to_owned();
        Self { why, retry_after: None }
    }
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// How many things are done, this one included.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// This one.
    pub wanted: &'a Wanted,
    /// How it went.
    pub result: &'a Result<Warmth, Cold>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// What was there before.
    pub present: usize,
    /// What was fetched.
    pub fetched: usize,
    /// How many bytes of it.
    pub fetched_bytes: u64,
    /// What could not be had, and why.
    pub failed: Vec<(String, String)>,
    /// What comes from registries that are not cached here.
    pub elsewhere: Vec<String>,
}

/// How often something is tried again when it may work later.
const RETRIES_MAX: u32 = 3;
/// No retry waits longer.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(10);

impl Warmed {
    /// Whether everything is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.elsewhere.is_empty()
    }
}

impl Needs {
    /// Everything: the index file of every crate named, then the crates, then the files of toolchains.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        let index_files =
            self.crates.iter().map(|krate| (krate.registry.clone(), krate.name.index_name()));
        let index_files = index_files.collect::<BTreeSet<_>>().into_iter();
        let index_files = index_files.map(|(registry, name)| Wanted {
            origin: registry.to_string(),
            resource: Resource::IndexFile(name),
            checksum: None,
        });
        let crates = self.crates.iter().cloned().map(|krate| Wanted {
            origin: krate.registry.to_string(),
            resource: Resource::Krate { name: krate.name, version: krate.version },
            checksum: krate.checksum,
        });
        index_files.chain(crates).chain(self.files.iter().cloned()).collect()
    }
}

/// Warms a place with what is needed, so much of it at once.
///
/// # Errors
///
/// When it cannot be told in the end what is there.
pub async fn warm(
    place: &dyn Place,
    needs: &Needs,
    at_once: usize,
    mut told: impl FnMut(Step<'_>) + Send,
) -> Result<Warmed, OperateError> {
    let wanted = needs.wanted();
    let total = wanted.len();
    let mut warmed = Warmed { elsewhere: needs.elsewhere.clone(), ..Warmed::default() };
    let mut fetched = Vec::new();
    let tries = wanted.into_iter().map(async |wanted| {
        let result = Box::pin(try_again(place, &wanted)).await;
        (wanted, result)
    });
    let mut tries = futures_util::stream::iter(tries).buffer_unordered(at_once.max(1));
    let mut done = 0;
    while let Some((wanted, result)) = tries.next().await {
        done += 1;
        told(Step { done, total, wanted: &wanted, result: &result });
        match result {
            Ok(Warmth::Present) => warmed.present += 1,
            Ok(Warmth::Fetched { size_bytes }) => {
                warmed.fetched += 1;
                warmed.fetched_bytes += size_bytes;
                fetched.push(wanted);
            }
            Err(cold) => warmed.failed.push((wanted.to_string(), cold.why)),
        }
    }
    drop(tries);
    for (wanted, cold) in place.settle(&fetched).await? {
        warmed.fetched = warmed.fetched.saturating_sub(1);
        warmed.failed.push((wanted.to_string(), cold.why));
    }
    warmed.failed.sort();
    Ok(warmed)
}

/// Reads a text, trying again as often as for anything else.
pub(crate) async fn read_again(
    place: &dyn Place,
    wanted: &Wanted,
    size_bytes_max: usize,
) -> Result<Bytes, Cold> {
    let mut tries = 0;
    loop {
        match place.read(wanted, size_bytes_max).await {
            Err(Cold { retry_after: Some(wait), .. }) if tries < RETRIES_MAX => {
                tries += 1;
                sleep(wait.min(RETRY_WAIT_MAX)).await;
            }
            result => return result,
        }
    }
}

async fn try_again(place: &dyn Place, wanted: &Wanted) -> Result<Warmth, Cold> {
    let mut tries = 0;
    loop {
        match place.warm(wanted).await {
            Err(Cold { retry_after: Some(wait), .. }) if tries < RETRIES_MAX => {
                tries += 1;
                sleep(wait.min(RETRY_WAIT_MAX)).await;
            }
            result => return result,
        }
    }
}

impl Wanted {
    /// The object that holds it, if it is kept as one.
    #[must_use]
    pub fn key(&self) -> Option<StoreKey> {
        match &self.resource {
            Resource::Dist(path) if path.class() == DistClass::Artifact => {
                Some(StoreKey::dist_file(&self.origin.parse().ok()?, path))
            }
            Resource::Dist(_) => None,
            resource => resource.key(&self.origin.parse().ok()?),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, resource, .. } = self;
        match resource {
            Resource::Krate { name, version } => write!(f, "{origin} {name} {version}"),
            Resource::IndexFile(name) => write!(f, "{origin} index file of {name}"),
            Resource::Dist(path) => write!(f, "{origin} {path}"),
            Resource::Config | Resource::Search { .. } => f.write_str(origin),
        }
    }
}
