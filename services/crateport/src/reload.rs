//! SIGHUP: the settings are read anew, and what can be changed while serving is changed.
//!
//! That is which log lines are written, times to live and the tokens of registries and dist origins; certificates are looked at by
//! themselves. All else is taken at the start only, and named in the log when it has changed. Settings that cannot be
//! used change nothing.

use std::sync::Arc;

use crateport_cache::Cache;
use crateport_telemetry::logging::LogSwitch;
use crateport_types::{DistId, RegistryId};
use crateport_upstream::{BuildError, DistUpstream, SparseUpstream};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use tokio::signal::unix::Signal;
use tracing::{info, warn};

use crate::compose::{self, House};
use crate::settings::{
    DistSettings, Inputs, Loaded, RegistrySettings, Row, Settings, SettingsError,
};
use crate::supervisor;

/// Reads the settings anew.
pub(crate) struct Reload {
    inputs: Inputs,
    /// As the process was started.
    started: Loaded,
    /// As they were read last.
    current: Loaded,
    cache: Cache,
    upstreams: Vec<(RegistryId, Arc<SparseUpstream>)>,
    dist_upstreams: Vec<(DistId, Arc<DistUpstream>)>,
    log: LogSwitch,
    metrics: ReloadMetrics,
}

struct ReloadMetrics {
    last_successful: IntGauge,
    ok: IntCounter,
    refused: IntCounter,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Token(#[from] BuildError),
}

/// What was changed, and what only a start can change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    taken: Vec<String>,
    left: Vec<String>,
}

/// Settings that are taken while serving.
const TAKEN: [&str; 6] =
    ["log", "index-ttl", "absent-ttl", "config-ttl", "dist-ttl", "dist-absent-ttl"];
/// Keys of a registry or a dist origin that are.
const TAKEN_OF_ORIGINS: [&str; 5] = ["index-ttl", "ttl", "absent-ttl", "token", "token-file"];

impl Reload {
    /// Gets ready to change what was made of `loaded`, which came from `inputs`.
    pub(crate) fn new(
        inputs: Inputs,
        loaded: Loaded,
        house: &House,
        log: LogSwitch,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            inputs,
            started: loaded.clone(),
            current: loaded,
            cache: house.cache.clone(),
            upstreams: house.upstreams.clone(),
            dist_upstreams: house.dist_upstreams.clone(),
            log,
            metrics: ReloadMetrics::register(metrics)?,
        })
    }

    /// Reloads whenever `hangup` comes, for as long as it is polled.
    pub(crate) async fn run(mut self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            supervisor::reloading();
            match self.reload() {
                Ok(changes) => self.tell(&changes),
                Err(error) => {
                    self.metrics.last_successful.set(0);
                    self.metrics.refused.inc();
                    warn!(%error, "the settings cannot be used; those before stay in force");
                }
            }
            supervisor::ready();
        }
    }

    fn tell(&self, Changes { taken, left }: &Changes) {
        self.metrics.last_successful.set(1);
        self.metrics.ok.inc();
        info!(changed = taken.join(", "), "the settings were read anew");
        if !left.is_empty() {
            warn!(
                settings = left.join(", "),
                "these settings have changed too: they need a restart"
            );
        }
    }

    /// Reads everything first, and changes it only when all of it can be used.
    fn reload(&mut self) -> Result<Changes, Refused> {
        let loaded = self.inputs.clone().load()?;
        let settings = &loaded.settings;
        for (upstream, registry) in self.served(settings) {
            upstream.can_send(registry.token.as_ref())?;
        }
        for (upstream, dist) in self.dists_served(settings) {
            upstream.can_send(dist.token.as_ref())?;
        }
        self.log.set(&settings.log);
        for (upstream, registry) in self.served(settings) {
            self.cache.set_policy(&compose::policy(settings, registry));
            upstream.set_token(registry.token.as_ref())?;
        }
        for (upstream, dist) in self.dists_served(settings) {
            self.cache.set_dist_policy(&compose::dist_policy(settings, dist));
            upstream.set_token(dist.token.as_ref())?;
        }
        let changes = changes(&self.started, &self.current, &loaded);
        self.current = loaded;
        Ok(changes)
    }

    /// The registries that are served and still stand in the settings.
    fn served<'a>(
        &'a self,
        settings: &'a Settings,
    ) -> impl Iterator<Item = (&'a SparseUpstream, &'a RegistrySettings)> {
        self.upstreams.iter().filter_map(|(id, upstream)| {
            let registry = settings.registries.iter().find(|registry| registry.id == *id)?;
            Some((&**upstream, registry))
        })
    }

    /// The dist origins that are.
    fn dists_served<'a>(
        &'a self,
        settings: &'a Settings,
    ) -> impl Iterator<Item = (&'a DistUpstream, &'a DistSettings)> {
        self.dist_upstreams.iter().filter_map(|(id, upstream)| {
            let dist = settings.dists.iter().find(|dist| dist.id == *id)?;
            Some((&**upstream, dist))
        })
    }
}

impl ReloadMetrics {
    fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let help = "1 if the configuration was last reloaded without fault.";
        let last_successful = IntGauge::new("crateport_config_reload_last_successful", help)?;
        let help = "Reloads of the configuration, by their result.";
        let opts = Opts::new("crateport_config_reloads_total", help);
        let reloads = IntCounterVec::new(opts, &["result"])?;
        registry.register(Box::new(last_successful.clone()))?;
        registry.register(Box::new(reloads.clone()))?;
        last_successful.set(1);
        Ok(Self {
            last_successful,
            ok: reloads.with_label_values(&["ok"]),
            refused: reloads.with_label_values(&["refused"]),
        })
    }
}

/// What is taken differs from what was read last; what is left, from what the process was started with.
fn changes(started: &Loaded, current: &Loaded, new: &Loaded) -> Changes {
    let differs = |old: &Loaded| {
        let mut names: Vec<String> = differing(&old.rows, &new.rows);
        names.extend(hidden(&old.settings, &new.settings));
        names.sort();
        names.dedup();
        names
    };
    Changes {
        taken: differs(current).into_iter().filter(|name| is_taken(name)).collect(),
        left: differs(started).into_iter().filter(|name| !is_taken(name)).collect(),
    }
}

/// The settings that stand in one list only, or with different values.
fn differing(old: &[Row], new: &[Row]) -> Vec<String> {
    let lacks = |rows: &[Row], row: &Row| {
        !rows.iter().any(|other| other.name == row.name && other.value == row.value)
    };
    let gone = old.iter().filter(|row| lacks(new, row));
    let come = new.iter().filter(|row| lacks(old, row));
    gone.chain(come).map(|row| row.name.clone()).collect()
}

/// The settings whose values are hidden in lists, where they differ.
fn hidden(old: &Settings, new: &Settings) -> Vec<String> {
    let mut names = Vec::new();
    if old.redis_password != new.redis_password {
        names.push("redis-password".to_owned());
    }
    if old.coord != new.coord {
        names.push("coord".to_owned());
    }
    for registry in &new.registries {
        let before = old.registries.iter().find(|before| before.id == registry.id);
        if before.is_some_and(|before| before.token != registry.token) {
            names.push(format!("registries.{}.token", registry.id));
        }
    }
    for dist in &new.dists {
        let before = old.dists.iter().find(|before| before.id == dist.id);
        if before.is_some_and(|before| before.token != dist.token) {
            names.push(format!("dist.{}.token", dist.id));
        }
    }
    names
}

fn is_taken(name: &str) -> bool {
    let of_origin = name.strip_prefix("registries.").or_else(|| name.strip_prefix("dist."));
    match of_origin.and_then(|rest| rest.split_once('.')) {
        Some((_, key)) => TAKEN_OF_ORIGINS.contains(&key),
        None => TAKEN.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(flags: &[(&'static str, &str)], registry: &str) -> Loaded {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let text =
            format!("[registries.internal]\nindex = \"sparse+https://a.example/\"\n{registry}");
        std::fs::write(&file, text).unwrap();
        let flags = flags.iter().map(|(name, value)| (*name, vec![(*value).to_owned()]));
        Inputs {
            flags: flags.collect(),
            config: Some(file),
            variables: Vec::new(),
            usual_files: Vec::new(),
        }
        .load()
        .unwrap()
    }

    #[test]
    fn what_is_left_is_named_until_the_restart_and_what_is_taken_once() {
        let started = loaded(&[("index-ttl", "60s"), ("fills-max", "9")], "token = \"a\"");
        let first = loaded(&[("index-ttl", "5s"), ("fills-max", "7")], "token = \"b\"");
        let expected = Changes {
            taken: vec!["index-ttl".into(), "registries.internal.token".into()],
            left: vec!["fills-max".into()],
        };
        assert_eq!(changes(&started, &started, &first), expected);
        let again = Changes { taken: Vec::new(), ..expected };
        assert_eq!(changes(&started, &first, &first), again);
        assert_eq!(changes(&started, &first, &started).left, Vec::<String>::new());
    }

    #[test]
    fn a_registry_that_comes_or_goes_needs_a_restart() {
        let started = loaded(&[], "");
        let disabled = loaded(&[], "enabled = false\nindex-ttl = \"1s\"");
        let changed = changes(&started, &started, &disabled);
        assert_eq!(changed.left, ["registries.internal.enabled"]);
        assert_eq!(changed.taken, ["registries.internal.index-ttl"]);
    }

    #[test]
    fn every_setting_that_is_taken_exists() {
        for name in TAKEN {
            assert!(crate::settings::TABLE.iter().any(|setting| setting.name == name), "{name}");
        }
    }
}
