//! Who pulled a crate, from the uses that all replicas have written to the store.
//!
//! The newest days are read first, and no more of them than are needed; what is found and not told is counted.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use crateport_cache::uses::{UseLine, read_batch};
use crateport_store::ObjectStore;
use crateport_types::{CrateName, CrateVersion, Day, IndexName, Moment, Named, RegistryId};
use serde::Serialize;
use tracing::warn;

use crate::OperateError;
use crate::last_uses::{batches, bytes, days};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The crate, however its name is written.
    pub name: CrateName,
    /// That version alone.
    pub version: Option<CrateVersion>,
    /// As that registry has it alone.
    pub registry: Option<RegistryId>,
    /// Uses since then alone.
    pub since: Option<Moment>,
    /// So many uses and no more, the newest.
    pub uses_max: usize,
}

/// Who pulled it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulls {
    /// The newest first.
    pub uses: Vec<Pull>,
    /// Uses that were found and are not told.
    pub left_out: u64,
    /// Whether older days were not read at all, because enough was found.
    pub older_unread: bool,
    /// Batches that are damaged: what they say is told as far as it can be read.
    pub unreadable_batches: u64,
}

/// The uses of one version by one client within a few minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pull {
    /// The last time.
    pub last: Moment,
    /// The first time.
    pub first: Moment,
    /// How often.
    pub count: u64,
    /// The registry.
    pub registry: String,
    /// The crate.
    #[serde(rename = "crate")]
    pub krate: String,
    /// Its version.
    pub version: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// With what.
    pub user_agent: Option<Box<str>>,
    /// With whose token.
    pub token_name: Option<Box<str>>,
    /// The replica that served it.
    pub replica: String,
}

/// What was found so far, at most twice as much as is told.
struct Found {
    question: Question,
    name: IndexName,
    pulls: Pulls,
}

/// Answers `question` from the store.
///
/// # Errors
///
/// When the store fails.
pub async fn who_pulled(
    store: &dyn ObjectStore,
    question: Question,
) -> Result<Pulls, OperateError> {
    let days: BTreeSet<Day> = days(store).await?;
    let first = question.since.map(Moment::day);
    let mut wanted = days.into_iter().rev().filter(|day| first.is_none_or(|first| *day >= first));
    let name = question.name.index_name();
    let mut found = Found { question, name, pulls: Pulls::default() };
    while let Some(day) = wanted.next() {
        for key in batches(store, day).await? {
            let Some(batch) = bytes(store, &key).await? else { continue };
            // Unpacking takes a while, and others are waiting for this thread.
            let read = tokio::task::spawn_blocking(move || {
                let read = found.read(&batch);
                (found, read)
            });
            let (back, read) = read.await.map_err(|_| OperateError::Stopped)?;
            found = back;
            if let Err(error) = read {
                warn!(%key, %error, "uses cannot be read, and are passed over");
                found.pulls.unreadable_batches += 1;
            }
        }
        found.cut();
        if found.pulls.uses.len() >= found.question.uses_max {
            found.pulls.older_unread = wanted.next().is_some();
            break;
        }
    }
    Ok(found.pulls)
}

impl Found {
    fn read(&mut self, batch: &[u8]) -> Result<(), crateport_cache::uses::InvalidBatch> {
        let replica = OnceCell::new();
        read_batch(
            batch,
            |head| drop(replica.set(head.replica)),
            |line| {
                if let Some(pull) = self.pull(line, replica.get().map_or("", String::as_str)) {
                    self.pulls.uses.push(pull);
                    if self.pulls.uses.len() > self.question.uses_max.saturating_mul(2) {
                        self.cut();
                    }
                }
            },
        )
    }

    /// What the line tells, if that was asked.
    fn pull(&self, line: UseLine, replica: &str) -> Option<Pull> {
        // Held for a client that another line tells of.
        if line.count == 0 {
            return None;
        }
        let Question { version, registry, since, .. } = &self.question;
        let last = Moment::of_seconds(line.last_s);
        let Named::Krate(of, name, its_version) = line.key()?.named() else { return None };
        let is_asked = name.index_name() == self.name
            && version.as_ref().is_none_or(|version| *version == its_version)
            && registry.as_ref().is_none_or(|registry| *registry == of)
            && since.is_none_or(|since| last >= since);
        is_asked.then(|| Pull {
            last,
            first: Moment::of_seconds(line.first_s),
            count: line.count,
            registry: of.to_string(),
            krate: name.to_string(),
            version: its_version.to_string(),
            address: line.client.address,
            user_agent: line.client.user_agent,
            token_name: line.client.token_name,
            replica: line.replica.as_deref().unwrap_or(replica).to_owned(),
        })
    }

    fn cut(&mut self) {
        let Pulls { uses, left_out, .. } = &mut self.pulls;
        uses.sort_by_key(|pull| std::cmp::Reverse((pull.last, pull.first)));
        *left_out += uses.len().saturating_sub(self.question.uses_max) as u64;
        uses.truncate(self.question.uses_max);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crateport_cache::uses::{BatchHead, BatchWriter, Client};
    use crateport_store::{FsStore, PutOptions};
    use crateport_types::StoreKey;

    use super::*;

    const DAY: u64 = 86_400;

    async fn batch(store: &FsStore, replica: &str, lines: &[(&str, u64)]) {
        let mut writer = BatchWriter::new(&BatchHead::new(replica, 60));
        for (object, last_s) in lines {
            writer.line(&UseLine {
                object: (*object).into(),
                count: 1,
                first_s: *last_s,
                last_s: *last_s,
                replica: None,
                client: Client { user_agent: Some(replica.into()), ..Client::default() },
            });
        }
        let day = Moment::of_seconds(lines[0].1).day();
        let key = StoreKey::usage(day, replica, lines.len() as u64);
        store.put(&key, writer.finish().into(), PutOptions::default()).await.unwrap();
    }

    fn about(name: &str) -> Question {
        let name = name.parse().unwrap();
        Question { name, version: None, registry: None, since: None, uses_max: 100 }
    }

    #[tokio::test]
    async fn the_uses_that_were_asked_for_are_told_whoever_wrote_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(FsStore::open(folder.path()).unwrap());
        let (a, a2) = ("crates-io/crates/a/a-1.0.0.crate", "crates-io/crates/a/a-2.0.0.crate");
        let other = "other/crates/A/A-1.0.0.crate";
        batch(&store, "one", &[(a, 10 * DAY), (a2, 10 * DAY + 5), (other, 10 * DAY + 6)]).await;
        batch(&store, "two", &[(a, 12 * DAY), ("crates-io/crates/ab/ab-1.0.0.crate", 12 * DAY)])
            .await;
        let ask = async |question: Question| {
            let pulls = who_pulled(&*store, question).await.unwrap();
            let told = pulls.uses.iter().map(|pull| (pull.last.seconds(), pull.replica.clone()));
            (told.collect::<Vec<_>>(), pulls.left_out, pulls.older_unread)
        };
        let told = |told: &[(u64, &str)]| {
            told.iter().map(|(at, by)| (*at, (*by).to_owned())).collect::<Vec<_>>()
        };
        let (first, second, third, fourth) =
            ((10 * DAY, "one"), (10 * DAY + 5, "one"), (10 * DAY + 6, "one"), (12 * DAY, "two"));
        for (question, expected, left_out, older_unread) in [
            (about("a"), told(&[fourth, third, second, first]), 0, false),
            (about("A"), told(&[fourth, third, second, first]), 0, false),
            (about("b"), vec![], 0, false),
            (
                Question { version: Some("1.0.0".parse().unwrap()), ..about("a") },
                told(&[fourth, third, first]),
                0,
                false,
            ),
            (
                Question { registry: Some("other".parse().unwrap()), ..about("a") },
                told(&[third]),
                0,
                false,
            ),
            (
                Question { since: Some(Moment::of_seconds(10 * DAY + 6)), ..about("a") },
                told(&[fourth, third]),
                0,
                false,
            ),
            (Question { uses_max: 1, ..about("a") }, told(&[fourth]), 0, true),
            (Question { uses_max: 2, ..about("a") }, told(&[fourth, third]), 2, false),
        ] {
            let shown = format!("{question:?}");
            assert_eq!(ask(question).await, (expected, left_out, older_unread), "{shown}");
        }
    }

    #[tokio::test]
    async fn a_damaged_batch_is_told_of_and_hides_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        batch(&store, "one", &[("crates-io/crates/a/a-1.0.0.crate", 10 * DAY)]).await;
        let key = StoreKey::usage(Moment::of_seconds(10 * DAY).day(), "two", 1);
        let garbage = bytes::Bytes::from_static(b"garbage");
        store.put(&key, garbage.into(), PutOptions::default()).await.unwrap();
        let pulls = who_pulled(&store, about("a")).await.unwrap();
        assert_eq!((pulls.uses.len(), pulls.unreadable_batches), (1, 1));
    }
}
