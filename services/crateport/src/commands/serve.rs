//! `serve`: the cache itself, until it is told to stop.
//!
//! There is one way down: unready, some time for load balancers to notice, no new connections, requests in flight to
//! their end, fills to theirs, the last spans out. A second signal cuts it short.

use std::fmt::Write as _;
use std::time::Duration;

use crateport_http::listen::{Limits, Listener, Server};
use crateport_http::{
    OpsConfig, Readiness, Reports, Scheme, cargo_lines, local_base, ops_router, rustup_lines,
};
use crateport_types::{RUSTUP, RegistryId};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{print, sweep};
use crate::reload::Reload;
use crate::settings::{Inputs, Loaded, Settings};
use crate::{compose, file_limit, supervisor};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The ops listener goes last, and nothing there is worth waiting for: a replica that reads along has the rest from the
/// store.
const OPS_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Spans that a collector does not take in this time are lost.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, with the settings that were loaded from `inputs`.
pub(crate) async fn run(inputs: Inputs, loaded: Loaded) -> anyhow::Result<()> {
    let settings = loaded.settings.clone();
    // From here on a SIGHUP does not end the process.
    let hangup = signal(SignalKind::hangup())?;
    let telemetry = crateport_telemetry::logging::init(&compose::logs(&settings))?;
    let connections_max = connections_max(&settings, file_limit::raise());

    let mut listeners = Vec::new();
    for listen in &settings.listen {
        listeners.push(Listener::bind(compose::listener(listen)).await?);
    }
    let ops_listener = Listener::bind(compose::ops_listener(settings.ops_listen)).await?;
    let ops_address = ops_listener.local_addr();
    let banner = banner(&settings, &listeners, &ops_listener)?;

    let metrics = compose::metrics(&settings, connections_max)?;
    let house = compose::house(&settings, Some(ops_address), metrics.as_ref()).await?;
    let reload = Reload::new(inputs, loaded, &house, telemetry.switch(), metrics.as_ref())?;
    let cache = house.cache;
    let reports =
        Reports::new(&settings.replica, VERSION, cache.clone(), house.upstream_metrics.clone());
    let app = compose::app(&settings, cache.clone(), reports.clone(), metrics.as_ref())?;
    let limits = Limits {
        connections_max: connections_max.try_into()?,
        ..compose::listen_limits(&settings)?
    };
    let server = Server::new(limits.clone());
    crateport_http::register_listeners(&server.stats(), metrics.as_ref())?;
    let certificates = settings.listen.iter().zip(&listeners);
    let certificates = certificates
        .filter_map(|(configured, listener)| Some((configured.address, listener.certificate()?)));
    crateport_http::register_certificates(certificates.collect(), metrics.as_ref())?;
    let farewell = server.farewell();
    let readiness = Readiness::default();
    readiness.register(metrics.as_ref())?;
    let ops = ops_router(OpsConfig {
        cache: cache.clone(),
        metrics,
        readiness: readiness.clone(),
        version: VERSION,
        replica: settings.replica.clone(),
        purge_poll: settings.purge_poll,
        sources: compose::sources(&settings),
        reports,
    });

    let (stop, stop_ops) = (CancellationToken::new(), CancellationToken::new());
    let (drain_delay, drain_timeout) = (settings.drain_delay, settings.drain_timeout);
    let main =
        tokio::spawn(server.serve(listeners, app, stop.clone().cancelled_owned(), drain_timeout));
    let ops_stopped = stop_ops.clone().cancelled_owned();
    let ops = tokio::spawn(Server::new(limits).serve(
        vec![ops_listener],
        ops,
        ops_stopped,
        OPS_DRAIN_TIMEOUT,
    ));
    let sweeps = sweep::on_schedule(&settings, &cache);
    print(&banner);
    info!(version = VERSION, replica = settings.replica, "serving");
    supervisor::ready();
    tokio::spawn(supervisor::keep_alive(ops_address));
    tokio::spawn(reload.run(hangup));

    stopped().await?;
    info!(?drain_delay, "stopping: requests in flight are brought to their end");
    // Requests first, then fills, then spans: each has its own limit.
    supervisor::stopping(drain_delay + drain_timeout * 2 + OPS_DRAIN_TIMEOUT + FLUSH_TIMEOUT);
    readiness.end();
    sweeps.abort();
    farewell.begin();
    tokio::spawn(async {
        if stopped().await.is_ok() {
            warn!("stopped at once by a second signal");
            crateport_telemetry::logging::flush();
            std::process::exit(1);
        }
    });
    tokio::time::sleep(drain_delay).await;
    stop.cancel();
    let drained = main.await?;
    if drained.cut > 0 {
        warn!(connections = drained.cut, "connections were cut at the end of the drain timeout");
    }
    if !cache.drain(drain_timeout).await {
        warn!("fills were given up at the end of the drain timeout; nothing of them is kept");
    }
    stop_ops.cancel();
    ops.await?;
    info!("stopped");
    if let Err(error) = telemetry.shutdown(FLUSH_TIMEOUT).await {
        warn!(%error, "the last spans are lost");
    }
    Ok(())
}

/// How many connections may be open with so many files.
fn connections_max(settings: &Settings, files: Option<u64>) -> u32 {
    let Settings { connections_max, requests_max, fills_max, .. } = *settings;
    match file_limit::connections(files, connections_max, requests_max, fills_max) {
        None => connections_max,
        Some(lowered) => {
            let needed = file_limit::needed(connections_max, requests_max, fills_max);
            warn!(
                files,
                needed,
                connections_max = lowered,
                "too few files may be open for the limits that are set: fewer connections are taken"
            );
            lowered
        }
    }
}

async fn stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Where it listens, and what to paste.
fn banner(settings: &Settings, listeners: &[Listener], ops: &Listener) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut bases = Vec::new();
    for (listener, configured) in listeners.iter().zip(&settings.listen) {
        let scheme = if configured.tls.is_some() { Scheme::Https } else { Scheme::Http };
        bases.push(local_base(listener.local_addr(), scheme)?);
    }
    for base in &bases {
        writeln!(text, "listening on {base}")?;
    }
    writeln!(text, "ops on {}", local_base(ops.local_addr(), Scheme::Http)?)?;
    writeln!(text, "store {}\ncoord {}", settings.store, settings.coord)?;
    if let Some(base) = settings.public_url.as_ref().or(bases.first()) {
        let enabled = settings.registries.iter().filter(|registry| registry.is_enabled);
        let ids = enabled.map(|registry| registry.id.clone()).collect::<Vec<RegistryId>>();
        write!(text, "\nPut this into $CARGO_HOME/config.toml:\n\n{}\n", cargo_lines(base, &ids))?;
        if settings.dists.iter().any(|dist| dist.is_enabled && dist.id.as_str() == RUSTUP) {
            write!(text, "\nAnd this into the environment of rustup:\n\n{}\n", rustup_lines(base))?;
        }
    }
    Ok(text)
}
