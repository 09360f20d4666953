//! Jobs as a registry sees them: `config.json`, index files, crates. A job with an empty home asks for everything; one
//! with a warm home only asks whether index files have changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Found;
use crate::load::{Address, Http1, Latencies, Seen};
use crate::registry::{Random, Registry, VERSION, index_path};
use crate::stand::Ports;

/// Jobs at once.
const JOBS: u64 = 6;
/// Packages that a job needs.
const PACKAGES: usize = 40;
/// Of so many jobs one begins with an empty home.
const COLD_OF: usize = 3;
/// A job compiles between two of its steps, which takes longer in life.
const PAUSE: Duration = Duration::from_millis(100);
/// cargo's own: how often it repeats a request, and how long it waits before that.
const RETRIES_MAX: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_millis(1000);
/// What the first errors said is kept.
const ERRORS_KEPT: usize = 10;

/// Packages, the most popular one first.
#[derive(Clone)]
pub(super) struct Popularity {
    names: Arc<Vec<String>>,
}

/// Jobs that run on threads of their own.
pub(super) struct Jobs(Vec<JoinHandle<Done>>);

/// What one thread's jobs have done.
#[derive(Default)]
struct Done {
    cold: u64,
    warm: u64,
    requests: u64,
    repeated: u64,
    errors: u64,
    first_errors: Vec<String>,
    latencies: Latencies,
}

/// One worker, which runs one job after another.
struct Worker {
    popularity: Popularity,
    replicas: Vec<Address>,
    random: Random,
    done: Done,
    /// Tags of index files that a warm home has.
    tags: HashMap<String, String>,
    connections: HashMap<usize, Http1>,
}

impl Popularity {
    /// The packages of the largest project.
    pub(super) fn read(registry: &Registry) -> Result<Self> {
        let largest = crate::registry::graph::SIZES.into_iter().max().context("a size")?;
        let lock = std::fs::read_to_string(registry.project_folder(largest).join("Cargo.lock"))?;
        let names = lock.lines().filter_map(|line| line.strip_prefix("name = \""));
        let names = names.map(|name| name.trim_end_matches('"').to_owned());
        let names: Vec<String> = names.filter(|name| name != "project").collect();
        Ok(Self { names: Arc::new(names) })
    }

    /// Any of them by turns.
    pub(super) fn name(&self, number: u32) -> &str {
        let at = usize::try_from(number).unwrap_or(0) * 7 % self.names.len().max(1);
        self.names.get(at).map_or("", String::as_str)
    }

    /// One of them: the n-th is asked for 1/n as often as the first (Zipf with the exponent 1).
    fn pick(&self, random: &mut Random) -> &str {
        let count = self.names.len() as f64;
        let rank = (count + 1.0).powf(random.fraction()) - 1.0;
        self.names.get(rank as usize).map_or("", String::as_str)
    }
}

impl Jobs {
    /// Starts them, each on its replica.
    pub(super) fn start(popularity: &Popularity, replicas: &[Ports], duration: Duration) -> Self {
        let replicas: Vec<Address> =
            replicas.iter().map(|ports| Address::plain(ports.plain)).collect();
        let threads = (0..JOBS).map(|number| {
            let (popularity, replicas) = (popularity.clone(), replicas.clone());
            std::thread::spawn(move || {
                let worker = Worker {
                    popularity,
                    replicas,
                    random: Random::new(number),
                    done: Done::default(),
                    tags: HashMap::new(),
                    connections: HashMap::new(),
                };
                worker.run(duration)
            })
        });
        Self(threads.collect())
    }

    /// Waits for them.
    pub(super) fn finish(self, found: &mut Found) -> Result<()> {
        let mut latencies = Latencies::default();
        for thread in self.0 {
            let done =
                thread.join().map_err(|_| anyhow::anyhow!("a thread of jobs has panicked"))?;
            found.cold_jobs += done.cold;
            found.warm_jobs += done.warm;
            found.requests += done.requests;
            found.repeated += done.repeated;
            found.errors += done.errors;
            found.first_errors.extend(done.first_errors);
            latencies.append(&done.latencies);
        }
        found.first_errors.truncate(ERRORS_KEPT);
        found.p50_ms = latencies.quantile_us(0.5) / 1e3;
        found.p99_ms = latencies.quantile_us(0.99) / 1e3;
        Ok(())
    }
}

impl Worker {
    fn run(mut self, duration: Duration) -> Done {
        let start = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return self.done };
        runtime.block_on(async {
            while start.elapsed() < duration {
                self.job().await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        self.done
    }

    async fn job(&mut self) {
        let replica = self.random.below(self.replicas.len());
        let is_cold = self.random.below(COLD_OF) == 0;
        if is_cold {
            self.tags.clear();
            self.done.cold += 1;
        } else {
            self.done.warm += 1;
        }
        self.ask(replica, "/crates-io/index/config.json", None).await;
        for _ in 0..PACKAGES {
            let name = self.popularity.pick(&mut self.random).to_owned();
            let path = format!("/crates-io/index/{}", index_path(&name));
            let tag = self.tags.get(&name).cloned();
            if let Some(seen) = self.ask(replica, &path, tag.as_deref()).await
                && let Some(tag) = seen.header("etag")
            {
                self.tags.insert(name.clone(), tag.to_owned());
            }
            if tag.is_none() {
                let path = format!("/crates-io/crates/{name}/{VERSION}/download");
                self.ask(replica, &path, None).await;
            }
        }
    }

    /// Asks as cargo does: what breaks is asked again, a few times.
    async fn ask(&mut self, replica: usize, path: &str, tag: Option<&str>) -> Option<Seen> {
        self.done.requests += 1;
        let mut headers = vec![("accept-encoding", "deflate, gzip")];
        headers.extend(tag.map(|tag| ("if-none-match", tag)));
        let mut tries = 0;
        loop {
            let start = Instant::now();
            let failed = match self.once(replica, path, &headers).await {
                Ok(seen) if is_good(seen.status, tag.is_some()) => {
                    self.done.latencies.add(start.elapsed());
                    return Some(seen);
                }
                // Not to be repeated, as cargo does not.
                Ok(seen) if seen.status < 500 && seen.status != 429 => {
                    self.fail(format!("{path}: {}", seen.status));
                    return None;
                }
                Ok(seen) => format!("{path}: {}", seen.status),
                Err(error) => format!("{path}: {error:#}"),
            };
            tries += 1;
            if tries > RETRIES_MAX {
                self.fail(failed);
                return None;
            }
            self.done.repeated += 1;
            tokio::time::sleep(RETRY_AFTER * tries).await;
        }
    }

    async fn once(&mut self, replica: usize, path: &str, headers: &[(&str, &str)]) -> Result<Seen> {
        let address = self.replicas.get(replica).context("a replica")?;
        let mut connection = match self.connections.remove(&replica) {
            Some(connection) => connection,
            None => Http1::connect(address).await?,
        };
        let seen = connection.look(address, path, headers).await?;
        self.connections.insert(replica, connection);
        Ok(seen)
    }

    fn fail(&mut self, what: String) {
        self.done.errors += 1;
        if self.done.first_errors.len() < ERRORS_KEPT {
            self.done.first_errors.push(what);
        }
    }
}

/// A redirect leads to the store, which is not what is soaked.
fn is_good(status: u16, is_conditional: bool) -> bool {
    matches!(status, 200 | 302 | 307) || (status == 304 && is_conditional)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_asked_for_most() {
        let names = (0..1000).map(|number| number.to_string()).collect();
        let popularity = Popularity { names: Arc::new(names) };
        let mut random = Random::new(1);
        let mut counts = vec![0; 1000];
        for _ in 0..100_000 {
            counts[popularity.pick(&mut random).parse::<usize>().unwrap()] += 1;
        }
        let sum = |range: std::ops::Range<usize>| counts[range].iter().sum::<usize>();
        // The first ten of a thousand have a third of all.
        assert!((30_000..40_000).contains(&sum(0..10)), "{}", sum(0..10));
        assert!(counts[0] > counts[9] * 5);
    }
}
