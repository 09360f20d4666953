//! `verify`: reads the store and says what is not as it should be.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crateport_operate::{Finding, Repair, Scope, Verified, Verifier};
use crateport_telemetry::metrics::Registry;

use super::print;
use super::readable::tally;
use crate::compose;
use crate::settings::Loaded;

/// What is said of a verification besides the settings.
#[derive(Debug)]
pub(crate) struct VerifyOptions {
    /// What is read.
    pub(crate) scope: Scope,
    /// What becomes of what is wrong.
    pub(crate) repair: Mending,
}

/// What becomes of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mending {
    /// It is told.
    Tell,
    /// It is dropped and fetched again.
    Refetch,
}

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// What was fetched again is on its way to the store.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Verifies; the exit code is 1 when something is wrong and was not repaired.
pub(crate) async fn run(loaded: &Loaded, options: &VerifyOptions) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let metrics = Registry::new(env!("CARGO_PKG_VERSION"))?;
    let verifier = match options.repair {
        Mending::Tell => {
            let store = compose::store(settings).await?.store;
            Verifier { store, repairer: None, dists: compose::dists(settings).collect() }
        }
        Mending::Refetch => {
            let cache = compose::cache(settings, metrics.as_ref()).await?;
            Verifier {
                store: cache.store().clone(),
                repairer: Some(cache),
                dists: compose::dists(settings).collect(),
            }
        }
    };
    let mut told = Instant::now();
    let progress = |verified: &Verified| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{} are as they should be so far", tally(&verified.sound));
        }
    };
    let found = |finding: &Finding| {
        print(&line(finding));
    };
    let verified = Box::pin(verifier.verify(options.scope, found, progress)).await?;
    if let Some(cache) = &verifier.repairer {
        cache.drain(DRAIN_TIMEOUT).await;
    }
    let printed = print(&sums(&verified));
    Ok(if verified.faulty.objects > 0 { ExitCode::from(crate::FAILED) } else { printed })
}

fn line(finding: &Finding) -> String {
    let repair = match &finding.repair {
        Repair::None => String::new(),
        Repair::Dropped => "; it was dropped".to_owned(),
        Repair::Fetched => "; it was fetched again".to_owned(),
        Repair::Failed(why) => format!("; it could not be repaired: {why}"),
    };
    format!("wrong  {}: {}{repair}\n", finding.key, finding.fault)
}

fn sums(verified: &Verified) -> String {
    let mut text = format!(
        "{} are as they should be, {} are not, {} were repaired\n",
        tally(&verified.sound),
        tally(&verified.faulty),
        tally(&verified.repaired)
    );
    if verified.unknown.objects > 0 {
        text += &format!("{} are nothing that can be verified\n", tally(&verified.unknown));
    }
    text
}
