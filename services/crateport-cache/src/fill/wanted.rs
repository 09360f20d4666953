//! What a fill fetches: the object, its digest, and where it comes from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_types::{CrateName, CrateVersion, DistPath, ResourceKind, Sha256, StoreKey};
use tokio::time::Instant;

use crate::cache::Registry;
use crate::dist::Dist;
use crate::metrics::STORED;
use crate::recent::RecentFill;

/// What is to be filled.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where it is kept.
    pub(crate) key: StoreKey,
    /// What its digest must be.
    pub(crate) checksum: Sha256,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a fill gets its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Krate { registry: Arc<Registry>, name: CrateName, version: CrateVersion },
    Dist { dist: Arc<Dist>, path: DistPath },
}

impl Wanted {
    /// What is told of a fill that ended well in this moment.
    pub(super) fn ended(&self, began: Instant, size_bytes: u64, result: &str) -> RecentFill {
        RecentFill {
            ended: SystemTime::now(),
            origin: self.source.origin().to_owned(),
            resource: self.source.kind(),
            key: self.key.clone(),
            size_bytes,
            took: began.elapsed(),
            is_kept: result == STORED,
        }
    }
}

impl Source {
    pub(crate) fn kind(&self) -> ResourceKind {
        match self {
            Self::Krate { .. } => ResourceKind::Krate,
            Self::Dist { .. } => ResourceKind::Dist,
        }
    }

    /// What upstream is called in errors that name no host.
    pub(crate) fn origin(&self) -> &str {
        match self {
            Self::Krate { registry, .. } => registry.policy.id.as_str(),
            Self::Dist { dist, .. } => dist.policy.id.as_str(),
        }
    }

    pub(super) fn absent_ttl(&self) -> Duration {
        match self {
            Self::Krate { registry, .. } => registry.policy.absent_ttl(),
            Self::Dist { dist, .. } => dist.policy.absent_ttl(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Krate { name, version, .. } => write!(f, "crate {name} {version}"),
            Self::Dist { path, .. } => write!(f, "dist file {path}"),
        }
    }
}
