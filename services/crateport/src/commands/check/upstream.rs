//! Whether each upstream answers as a sparse registry or a dist origin does, and whether the clocks agree.

use std::time::{Duration, SystemTime};

use crateport_types::{DistPath, RegistryConfig};
use crateport_upstream::{Ask, Reply, Upstream as _, UpstreamMetrics};

use super::{Finding, clock};
use crate::compose;
use crate::settings::{DistSettings, RegistrySettings, Settings};

/// Many times what any registry says of itself.
const CONFIG_SIZE_BYTES_MAX: usize = 64 << 10;

/// What a dist origin is asked for: it is small, and every mirror of Rust's own server has it.
const DIST_QUESTION: &str = "dist/channel-rust-stable.toml.sha256";

/// One finding per registry and dist origin, and one on the clock for the first that tells the time.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    if settings.offline {
        return vec![Finding::Ok("offline: no upstream is asked".to_owned())];
    }
    let mut findings = Vec::new();
    let mut clock = None;
    for registry in settings.registries.iter().filter(|registry| registry.is_enabled) {
        let id = &registry.id;
        findings.push(match ask(settings, registry).await {
            Ok((config, date)) => {
                clock = clock.or(date.map(|date| clock::judge(SystemTime::now(), date)));
                let search = if config.api.is_some() { "" } else { ", has no search" };
                Finding::Ok(format!("{id} answers{search}"))
            }
            Err(error) => Finding::Failed(format!(
                "{id}: {error:#}; check its index, the network, and HTTPS_PROXY or \
                 upstream-ca-files if there is a proxy"
            )),
        });
    }
    for dist in settings.dists.iter().filter(|dist| dist.is_enabled) {
        let id = &dist.id;
        findings.push(match ask_dist(settings, dist).await {
            Ok(()) => Finding::Ok(format!("{id} answers")),
            // Crates are served all the same.
            Err(error) => Finding::Warning(format!(
                "{id}: {error:#}; toolchains cannot be fetched from it. If none are wanted, set enabled = false \
                 in [dist.{id}]"
            )),
        });
    }
    findings.extend(clock);
    findings
}

/// Any answer will do, absence included: an origin of other files has no channels.
async fn ask_dist(settings: &Settings, dist: &DistSettings) -> anyhow::Result<()> {
    let metrics = UpstreamMetrics::register(&prometheus::Registry::new())?;
    let upstream = compose::dist_upstream(settings, dist, metrics)?;
    let path: DistPath = DIST_QUESTION.parse()?;
    let deadline = settings.upstream_deadline + Duration::from_secs(1);
    tokio::time::timeout(deadline, upstream.fetch(Ask::Dist(&path))).await??;
    Ok(())
}

async fn ask(
    settings: &Settings,
    registry: &RegistrySettings,
) -> anyhow::Result<(RegistryConfig, Option<SystemTime>)> {
    let metrics = UpstreamMetrics::register(&prometheus::Registry::new())?;
    let upstream = compose::upstream(settings, registry, metrics)?;
    let deadline = settings.upstream_deadline + Duration::from_secs(1);
    match tokio::time::timeout(deadline, upstream.fetch(Ask::Config)).await?? {
        Reply::Found(found) => {
            let date = found.date;
            let bytes = found.collect(CONFIG_SIZE_BYTES_MAX).await?;
            Ok((RegistryConfig::parse(&bytes)?, date))
        }
        Reply::Absent | Reply::Unchanged => {
            anyhow::bail!("it has no config.json, so it is no sparse registry")
        }
    }
}
