//! `sweep`: removes what was not used for long; and the same on a schedule, inside `serve`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use crateport_cache::Cache;
use crateport_operate::{Deed, Removal, Retention, Sweeper, Swept, Verdict};
use crateport_types::Day;
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};

use super::print;
use super::readable::{size, tally};
use crate::compose;
use crate::settings::{Loaded, Settings};

/// What is said of a sweep besides the settings.
#[derive(Debug)]
pub(crate) struct SweepOptions {
    /// Instead of the setting.
    pub(crate) unused_for: Option<Duration>,
    /// Instead of the setting.
    pub(crate) size_bytes_max: Option<u64>,
    /// Whether it is done.
    pub(crate) deed: Deed,
    /// Whether each object that goes has a line.
    pub(crate) detail: Detail,
}

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A line for each object.
    Objects,
    /// The sums.
    Sums,
}

/// Sweeps are put off by up to this part of their time, so that not all replicas ask for the lease at once.
const JITTER_PART: u32 = 10;

/// Sweeps once.
pub(crate) async fn run(loaded: &Loaded, options: SweepOptions) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let configured = compose::retention(settings);
    let retention = Retention {
        unused_for: options.unused_for.or(configured.unused_for),
        size_bytes_max: options.size_bytes_max.or(configured.size_bytes_max),
        ..configured
    };
    if retention.unused_for.is_none() && retention.size_bytes_max.is_none() {
        bail!("say what is to go: --unused-for 90d, --max-size 500GiB, or both");
    }
    let store = compose::store(settings).await?.store;
    let sweeper = compose::sweeper(settings, store, compose::coordinator(settings, None)?);
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let line = |removal: &Removal<'_>| {
        if options.detail == Detail::Objects {
            // A reader that has seen enough stops no sweep.
            let _ = out.write_all(line(removal).as_bytes());
        }
    };
    let swept = Box::pin(sweeper.sweep(&retention, options.deed, line)).await?;
    let _ = out.flush();
    let printed = print(&sums(&swept, options.deed));
    Ok(if swept.failed.objects > 0 { ExitCode::from(crate::FAILED) } else { printed })
}

/// Sweeps for as long as it is not aborted, if the settings say so. An aborted sweep leaves nothing half done.
pub(crate) fn on_schedule(settings: &Settings, cache: &Cache) -> AbortHandle {
    let sweeper = compose::sweeper(settings, cache.store().clone(), cache.coordinator().clone());
    let (retention, every) = (compose::retention(settings), settings.sweep_every);
    let sweeps = async move {
        if let Some(every) = every {
            sweep_for_ever(&sweeper, &retention, every).await;
        }
    };
    tokio::spawn(sweeps).abort_handle()
}

async fn sweep_for_ever(sweeper: &Sweeper, retention: &Retention, every: Duration) {
    loop {
        tokio::time::sleep(every + (every / JITTER_PART).mul_f64(fastrand::f64())).await;
        let removed = |removal: &Removal<'_>| debug!(key = %removal.key, "swept");
        match Box::pin(sweeper.sweep_if_due(retention, every, removed)).await {
            Ok(Some(swept)) => info!(
                unused_objects = swept.unused.objects,
                unused_bytes = swept.unused.bytes,
                surplus_objects = swept.surplus.objects,
                surplus_bytes = swept.surplus.bytes,
                left_bytes = swept.after().bytes,
                "swept"
            ),
            Ok(None) => debug!("another replica sweeps, or has swept"),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, source, "the sweep failed");
            }
        }
    }
}

fn line(removal: &Removal<'_>) -> String {
    let why = match removal.verdict {
        Verdict::Surplus => "surplus",
        _ => "unused",
    };
    let (day, size) = (Day::of(removal.last_used), size(removal.size_bytes));
    format!("{why:<8} {day} {size:>10}  {}\n", removal.key)
}

fn sums(swept: &Swept, deed: Deed) -> String {
    let (verb, holds) = match deed {
        Deed::Remove => ("removed", "the store holds"),
        Deed::Tell => ("would remove", "the store would hold"),
    };
    let mut text = format!(
        "{verb} {} that nobody used, {} to make room; {holds} {}, and held {}\n",
        tally(&swept.unused),
        tally(&swept.surplus),
        tally(&swept.after()),
        tally(&swept.before),
    );
    for (tally_of, what) in [
        (swept.graced, "stay whatever their turn, because they were used a short while ago"),
        (swept.spared, "were used in this moment, and stay"),
        (swept.failed, "could not be deleted; the log says why"),
    ] {
        if tally_of.objects > 0 {
            text += &format!("{} {what}\n", tally(&tally_of));
        }
    }
    text
}
