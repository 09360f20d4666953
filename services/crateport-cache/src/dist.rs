//! Dist files: toolchains and everything rustup asks for, by what the class of each path needs.
//!
//! * What never changes ([`artifact`]) is proved by a manifest or by the `.sha256` beside it, and kept for ever.
//! * What changes ([`snapshot`]) is kept as contents, each under its digest, and one small object that says which of
//!   them is given ([`given`]). A `.sha256` is written from that, so it never disagrees with its file.

mod artifact;
mod given;
mod proof;
mod renewal;
mod snapshot;
mod tracked;

use std::sync::Arc;

use crateport_types::{DistClass, DistPath, Outcome, Reason, Sha256, StoreKey, write_sum};
use crateport_upstream::Upstream;

pub(crate) use self::proof::{Manifests, Proofs};
pub(crate) use self::renewal::Renewed;
pub(crate) use self::tracked::Snapshots;
use crate::cache::{DistSetup, Inner};
use crate::fill::{Source, Wanted};
use crate::live_policy::LiveDistPolicy;
use crate::{Answer, Failure, Payload, Redirects, ServeError};

/// One dist origin.
#[derive(Debug)]
pub(crate) struct Dist {
    pub(crate) policy: LiveDistPolicy,
    pub(crate) upstream: Arc<dyn Upstream>,
}

/// What of a file a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Its bytes.
    File,
    /// Its `.sha256`.
    Sum,
}

impl Dist {
    pub(crate) fn new(setup: DistSetup) -> Self {
        Self { policy: LiveDistPolicy::new(setup.policy), upstream: setup.upstream }
    }

    fn file_key(&self, path: &DistPath) -> StoreKey {
        StoreKey::dist_file(&self.policy.id, path)
    }

    fn given_key(&self, path: &DistPath) -> StoreKey {
        StoreKey::dist_given(&self.policy.id, path)
    }

    fn content_key(&self, path: &DistPath, content: &Sha256) -> StoreKey {
        StoreKey::dist_snapshot(&self.policy.id, path, content)
    }
}

impl Inner {
    pub(crate) async fn serve_dist(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let (part, path) = match path.sum_of() {
            Some(file) => (Part::Sum, file),
            None => (Part::File, path.clone()),
        };
        match (path.class(), part) {
            (DistClass::Artifact, Part::File) => self.serve_artifact(dist, &path, redirects).await,
            (DistClass::Artifact, Part::Sum) => self.serve_artifact_sum(dist, &path).await,
            (DistClass::Snapshot, Part::File) => self.serve_snapshot(dist, &path, redirects).await,
            (DistClass::Snapshot, Part::Sum) => self.serve_snapshot_sum(dist, &path).await,
            (DistClass::Record(_), Part::File) => self.serve_record(dist, &path, redirects).await,
            (DistClass::Record(_), Part::Sum) => Err(ServeError::NotOffered {
                what: format!("the checksum of {path}"),
                detail: "no origin has one".to_owned(),
            }),
        }
    }
}

/// What is to be filled, so that `path` is at `key` with this digest.
fn wanted(dist: &Arc<Dist>, path: &DistPath, key: StoreKey, checksum: Sha256) -> Wanted {
    let source = Source::Dist { dist: Arc::clone(dist), path: path.clone() };
    Wanted { key, checksum, source }
}

/// A `.sha256`.
fn sum(path: &DistPath, digest: &Sha256, outcome: Outcome, reason: Reason) -> Answer {
    let payload = Payload::Sum(write_sum(path, digest).into());
    Answer { outcome, reason, upstream_status: None, age: None, payload }
}

fn absent(path: &DistPath, reason: Reason, upstream_status: Option<u16>) -> ServeError {
    ServeError::Absent { what: format!("dist file {path}"), reason, upstream_status }
}

fn unavailable(path: &DistPath, failure: Failure) -> ServeError {
    ServeError::Unavailable { what: format!("dist file {path}"), failure }
}
