//! What a file's digest must be: what a manifest says that was given, else what the `.sha256` beside it says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crateport_types::{DistClass, DistPath, Manifest, Sha256, StoreKey, read_sum};
use crateport_upstream::{Ask, Reply, UpstreamError};
use tokio::time::Instant;

use super::Dist;
use super::tracked::Look;
use crate::Failure;
use crate::cache::Inner;
use crate::flight::Seat;
use crate::index::late;

/// The manifests that were looked into lately.
#[derive(Clone, Debug)]
pub(crate) struct Manifests(moka::future::Cache<StoreKey, Arc<Manifest>>);

/// What was proved of files that are not here yet: many clients may ask for one at once.
#[derive(Clone, Debug)]
pub(crate) struct Proofs(moka::future::Cache<StoreKey, Sha256>);

/// How long a proof is gone by before upstream is asked again. What it says wrong must not stay.
const PROOF_TTL: Duration = Duration::from_secs(10);
const PROOFS_MAX: u64 = 10_000;
/// Some twenty manifests of all of Rust's components and targets.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// The largest manifest that is looked into. Rust's own have about 1 MiB.
pub(super) const MANIFEST_BYTES_MAX: usize = 16 << 20;
/// Many times what a checksum file holds.
const SUM_BYTES_MAX: usize = 4096;
/// The channels whose manifests name the files of a day.
const CHANNELS: [&str; 3] = ["stable", "nightly", "beta"];

impl Default for Manifests {
    fn default() -> Self {
        let weigh = |_: &StoreKey, manifest: &Arc<Manifest>| {
            u32::try_from(manifest.size_bytes() + 1).unwrap_or(u32::MAX)
        };
        let manifests = moka::future::Cache::builder().max_capacity(MEMORY_BYTES_MAX);
        Self(manifests.weigher(weigh).build())
    }
}

impl Default for Proofs {
    fn default() -> Self {
        let proofs = moka::future::Cache::builder().max_capacity(PROOFS_MAX);
        Self(proofs.time_to_live(PROOF_TTL).build())
    }
}

impl Inner {
    /// The digest that the file at `path` must have. `None` means that upstream says nothing of it.
    pub(super) async fn proof(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Option<Sha256>, Failure> {
        if let Some(sum) = self.sum_in_manifests(dist, path).await {
            return Ok(Some(sum));
        }
        let key = dist.file_key(path);
        if let Some(proved) = self.proofs.0.get(&key).await {
            return Ok(Some(proved));
        }
        let sum = self.upstream_sum(dist, path).await?;
        if let Some(sum) = sum {
            self.proofs.0.insert(key, sum).await;
        }
        Ok(sum)
    }

    /// What manifests say that are here already.
    async fn sum_in_manifests(&self, dist: &Dist, path: &DistPath) -> Option<Sha256> {
        let mut keys = Vec::new();
        for manifest in manifests_naming(path) {
            keys.extend(self.manifest_keys(dist, &manifest).await);
        }
        // Those in memory first: reading one means to parse it.
        for key in &keys {
            if let Some(manifest) = self.manifests.0.get(key).await
                && let Some(sum) = manifest.sum(path)
            {
                return Some(sum);
            }
        }
        for key in &keys {
            let Some(manifest) = self.manifest(key).await else { continue };
            if let Some(sum) = manifest.sum(path) {
                return Some(sum);
            }
        }
        None
    }

    /// Where the contents of a manifest lie, if they do.
    async fn manifest_keys(&self, dist: &Dist, manifest: &DistPath) -> Vec<StoreKey> {
        if manifest.class() == DistClass::Artifact {
            return vec![dist.file_key(manifest)];
        }
        let Ok(Some(given)) = self.given(dist, manifest, Look::Lately).await else {
            return Vec::new();
        };
        let mut contents = vec![given.newest(), given.current];
        contents.dedup();
        contents.iter().map(|content| dist.content_key(manifest, content)).collect()
    }

    /// The manifest at `key`, verified and parsed.
    async fn manifest(&self, key: &StoreKey) -> Option<Arc<Manifest>> {
        let load = async {
            let expected = self.kept_sum(key).await?;
            let object = self.stored(key, &expected).await.ok()??;
            if object.size_bytes() > MANIFEST_BYTES_MAX as u64 {
                return None;
            }
            let bytes = collect(object).await?;
            let parse = move || Manifest::parse(&bytes).ok();
            let parsed = tokio::task::spawn_blocking(parse).await.ok()??;
            Some(Arc::new(parsed))
        };
        self.manifests.0.optionally_get_with_by_ref(key, Box::pin(load)).await
    }

    /// What the `.sha256` beside a file says, asked once for all who want to know. `None` means that there is none.
    pub(super) async fn upstream_sum(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Option<Sha256>, Failure> {
        let Some(sum) = path.sum() else { return Ok(None) };
        let key = dist.file_key(&sum);
        let ticket = match self.sums.board(&key) {
            Seat::Follower(ticket) => ticket,
            Seat::Leader(takeoff, ticket) => {
                let (cache, dist) = (Arc::clone(self), Arc::clone(dist));
                self.tasks.spawn(async move {
                    takeoff.publish(cache.ask_sum(&dist, &sum).await.map_err(Failure::from));
                });
                ticket
            }
        };
        let deadline = Instant::now() + self.limits.wait_max;
        ticket.wait(deadline).await.unwrap_or_else(|no_result| Err(late(no_result)))
    }

    async fn ask_sum(&self, dist: &Dist, sum: &DistPath) -> Result<Option<Sha256>, UpstreamError> {
        let invalid =
            |detail: String| UpstreamError::Invalid { host: dist.policy.id.to_string(), detail };
        let found = match dist.upstream.fetch(Ask::Dist(sum)).await? {
            Reply::Found(found) => found,
            Reply::Absent => return Ok(None),
            Reply::Unchanged => return Err(invalid("304 to an unconditional request".to_owned())),
        };
        let bytes = match found.collect(SUM_BYTES_MAX).await {
            Err(UpstreamError::TooLarge { .. }) => {
                return Err(invalid(format!("{sum} is no checksum file: it is too large")));
            }
            collected => collected?,
        };
        let digest = read_sum(&bytes).map_err(|error| invalid(format!("{sum} is {error}")))?;
        Ok(Some(digest))
    }
}

async fn collect(object: crate::StoredObject) -> Option<Bytes> {
    use futures_util::TryStreamExt as _;
    let pieces = object.read().try_fold(Vec::new(), async |mut whole, piece| {
        whole.extend_from_slice(&piece);
        Ok(whole)
    });
    pieces.await.ok().map(Bytes::from)
}

/// The manifests that may name the file at `path`.
fn manifests_naming(path: &DistPath) -> Vec<DistPath> {
    let mut parts = path.as_str().split('/');
    let (Some("dist"), Some(day), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    if path.is_manifest() {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for channel in CHANNELS {
        names.push(format!("dist/{day}/channel-rust-{channel}.toml"));
        names.push(format!("dist/channel-rust-{channel}.toml"));
    }
    if let Some(version) =
        name.split('-').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
    {
        names.push(format!("dist/channel-rust-{version}.toml"));
        if let Some((series, _)) = version.rsplit_once('.') {
            names.push(format!("dist/channel-rust-{series}.toml"));
        }
    }
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(path: &str) -> Vec<String> {
        let manifests = manifests_naming(&path.parse().unwrap());
        manifests.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_files_of_a_day_are_named_by_its_manifests_and_by_those_of_their_version() {
        let found = naming("dist/2026-04-16/rustc-1.95.0-x86_64-unknown-linux-gnu.tar.xz");
        for expected in [
            "dist/2026-04-16/channel-rust-stable.toml",
            "dist/channel-rust-stable.toml",
            "dist/2026-04-16/channel-rust-nightly.toml",
            "dist/channel-rust-1.95.0.toml",
            "dist/channel-rust-1.95.toml",
        ] {
            assert!(found.iter().any(|it| it == expected), "{expected}: {found:?}");
        }
        assert_eq!(naming("dist/2026-04-16/rust-std-nightly-x.tar.xz").len(), 6);
    }

    #[test]
    fn what_no_manifest_names_is_not_looked_for() {
        for path in [
            "rustup/archive/1.29.0/x/rustup-init",
            "dist/2026-04-16/channel-rust-nightly.toml",
            "dist/rust-1.95.0-x.tar.gz",
        ] {
            assert_eq!(naming(path), Vec::<String>::new(), "{path}");
        }
    }
}
