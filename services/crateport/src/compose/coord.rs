//! The coordinator, as the settings name it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use crateport_coord::{
    Coordinator, LocalCoordinator, RedisAddress, RedisConfig, RedisCoordinator, RedisLimits,
};
use crateport_types::Secret;

use crate::settings::{Coordination, Settings};

/// Notes on single files, a few hundred bytes each: more than the names that a fleet asks for in vain.
const NOTES_MAX: u64 = 100_000;

/// What replicas tell each other with. A Redis is connected to in the background; it may be down.
///
/// `advertised` is where they can ask this one for what it has of a fill under way.
pub(crate) fn coordinator(
    settings: &Settings,
    advertised: Option<String>,
) -> anyhow::Result<Arc<dyn Coordinator>> {
    // A fleet must not take it from one that never asks that there is no such crate.
    if settings.offline {
        return Ok(Arc::new(LocalCoordinator::new(NOTES_MAX)));
    }
    Ok(match redis(settings, advertised)? {
        Some(redis) => Arc::new(redis),
        None => Arc::new(LocalCoordinator::new(NOTES_MAX)),
    })
}

/// The Redis, if there is to be one.
pub(crate) fn redis(
    settings: &Settings,
    advertised: Option<String>,
) -> anyhow::Result<Option<RedisCoordinator>> {
    let Coordination::Redis(address) = &settings.coord else { return Ok(None) };
    let ca_pem = settings.redis_ca_file.as_deref().map(|path| read("redis-ca-file", path));
    let limits = RedisLimits { response: settings.redis_answer_timeout, ..RedisLimits::default() };
    let config = RedisConfig {
        ca_pem: ca_pem.transpose()?,
        prefix: settings.redis_prefix.clone(),
        advertised,
        limits,
        ..RedisConfig::new(with_login(settings, address.clone())?)
    };
    let redis = RedisCoordinator::start(config);
    redis.map(Some).with_context(|| format!("the coordinator {address} cannot be used"))
}

/// What is set apart wins over what stands in the address.
fn with_login(settings: &Settings, address: RedisAddress) -> anyhow::Result<RedisAddress> {
    let password = match &settings.redis_password_file {
        Some(path) => {
            let text = String::from_utf8(read("redis-password-file", path)?)?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
        }
        None => settings.redis_password.clone(),
    };
    Ok(address.with_login(settings.redis_username.clone(), password))
}

fn read(setting: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{setting} {} cannot be read", path.display()))
}
