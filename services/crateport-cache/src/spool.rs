//! The bytes of a fill, written once and read by many while they come.
//!
//! The beginning of a fill stays in memory; one that outgrows the limit goes to a scratch file, whole. Every reader
//! has its own position and reads at its own speed. The last byte is held back until the checksum is known to be
//! right, so no reader ever completes a body that is wrong or cut: it gets an error instead.

mod reader;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crateport_store::{Payload, Scratch, ScratchFile, StoreError};
use crateport_types::{Reason, Sha256, StoreKey};
use prometheus::IntGauge;
use tokio::sync::watch;

pub use self::reader::SpoolReader;

use crate::Failure;

/// The writer's end. Consumed by [`Spool::commit`] or [`Spool::fail`]; dropped without either, it fails.
#[derive(Debug)]
pub(crate) struct Spool {
    shared: Arc<Shared>,
    changed: watch::Sender<()>,
    scratch: Scratch,
    memory_bytes_max: usize,
    file: Option<ScratchFile>,
    ended: bool,
}

/// The body will never be whole.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the fill failed: {0}")]
pub struct SpoolError(pub Failure);

/// A whole body with the right checksum. Only [`Spool::commit`] makes one.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) payload: Payload,
    pub(crate) checksum: Sha256,
}

struct Shared {
    key: StoreKey,
    /// What the digest of the whole must be.
    checksum: Sha256,
    size_bytes: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// What is not in the file. Empty once there is a file.
    memory: Vec<Bytes>,
    file: Option<Arc<std::fs::File>>,
    written_bytes: u64,
    end: End,
    /// Shows what is held here.
    held_bytes: Option<IntGauge>,
}

enum End {
    NotYet,
    Whole,
    Failed(SpoolError),
}

impl Spool {
    /// An empty spool for the object at `key` with this digest, whose size may be known.
    pub(crate) fn new(
        key: StoreKey,
        checksum: Sha256,
        size_bytes: Option<u64>,
        scratch: Scratch,
        memory_bytes_max: usize,
    ) -> Self {
        let state = State {
            memory: Vec::new(),
            file: None,
            written_bytes: 0,
            end: End::NotYet,
            held_bytes: None,
        };
        let shared = Arc::new(Shared { key, checksum, size_bytes, state: Mutex::new(state) });
        Self {
            shared,
            changed: watch::Sender::new(()),
            scratch,
            memory_bytes_max,
            file: None,
            ended: false,
        }
    }

    /// Has `held_bytes` show what this spool holds, until it and its readers are gone.
    pub(crate) fn metered(self, held_bytes: &IntGauge) -> Self {
        self.shared.lock().held_bytes = Some(held_bytes.clone());
        self
    }

    pub(crate) fn reader(&self) -> SpoolReader {
        SpoolReader::new(Arc::clone(&self.shared), self.changed.subscribe())
    }

    /// What the digest of the whole must be.
    pub(crate) fn checksum(&self) -> &Sha256 {
        &self.shared.checksum
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.shared.lock().written_bytes
    }

    /// Takes the next bytes. Waits for the disk where they go to the disk.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let written_bytes = self.written_bytes();
        let total_bytes = written_bytes + chunk.len() as u64;
        let file = match &self.file {
            None if total_bytes <= self.memory_bytes_max as u64 => {
                let mut state = self.shared.lock();
                state.memory.push(chunk);
                state.hold(total_bytes);
                None
            }
            None => Some(self.spill(chunk).await?),
            Some(file) => {
                self.append(file.file(), written_bytes, vec![chunk]).await?;
                Some(Arc::clone(file.file()))
            }
        };
        if file.is_some() {
            let mut state = self.shared.lock();
            state.file = file;
            state.memory = Vec::new();
            state.hold(total_bytes);
        }
        self.changed.send_replace(());
        Ok(())
    }

    /// Moves everything from memory to a new file.
    async fn spill(&mut self, chunk: Bytes) -> Result<Arc<std::fs::File>, StoreError> {
        let failed = |error| StoreError::of("make a scratch file for", &self.shared.key, error);
        let scratch = self.scratch.clone();
        let made = tokio::task::spawn_blocking(move || scratch.file()).await;
        let file = made.map_err(io::Error::other).flatten().map_err(failed)?;
        let mut chunks = self.shared.lock().memory.clone();
        chunks.push(chunk);
        self.append(file.file(), 0, chunks).await?;
        Ok(Arc::clone(self.file.insert(file).file()))
    }

    async fn append(
        &self,
        file: &Arc<std::fs::File>,
        at: u64,
        chunks: Vec<Bytes>,
    ) -> Result<(), StoreError> {
        use std::os::unix::fs::FileExt as _;
        let file = Arc::clone(file);
        let work = move || {
            chunks.iter().try_fold(at, |at, chunk| {
                file.write_all_at(chunk, at)?;
                io::Result::Ok(at + chunk.len() as u64)
            })
        };
        let written = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
        written
            .map(drop)
            .map_err(|error| StoreError::of("write the spool of", &self.shared.key, error))
    }

    /// Ends the spool as whole: the digest of what was written is the right one.
    ///
    /// If it is not, the spool ends as failed, and the failure is returned.
    pub(crate) fn commit(mut self, computed: Sha256) -> Result<Verified, Failure> {
        let expected = self.shared.checksum;
        if computed != expected {
            let detail =
                format!("the checksum of what was received is {computed}, and must be {expected}");
            let failure = Failure::own(Reason::ChecksumMismatch, &detail);
            self.fail(failure.clone());
            return Err(failure);
        }
        let memory = self.finish(End::Whole);
        let payload = match self.file.take() {
            Some(file) => Payload::File(file),
            None => Payload::Bytes(concatenated(memory)),
        };
        Ok(Verified { payload, checksum: expected })
    }

    /// Ends the spool as failed: readers get the failure instead of an end.
    pub(crate) fn fail(mut self, failure: Failure) {
        self.finish(End::Failed(SpoolError(failure)));
    }

    /// The chunks stay where they are for readers, and are handed to the caller too.
    fn finish(&mut self, end: End) -> Vec<Bytes> {
        self.ended = true;
        let memory = {
            let mut state = self.shared.lock();
            state.end = end;
            state.memory.clone()
        };
        self.changed.send_replace(());
        memory
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.ended {
            let failure = Failure::own(Reason::UpstreamInvalid, "the fill was given up");
            self.finish(End::Failed(SpoolError(failure)));
        }
    }
}

fn concatenated(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        0 | 1 => chunks.pop().unwrap_or_default(),
        _ => chunks.concat().into(),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, total_bytes: u64) {
        if let Some(held_bytes) = &self.held_bytes {
            held_bytes.add(gauge_value(total_bytes - self.written_bytes));
        }
        self.written_bytes = total_bytes;
    }

    /// How far readers may go: to the end when all is well, else not to the last byte.
    fn readable_bytes(&self, size_bytes: Option<u64>) -> u64 {
        let held_back = match size_bytes {
            Some(size_bytes) => size_bytes.saturating_sub(1).min(self.written_bytes),
            None => self.written_bytes.saturating_sub(1),
        };
        if matches!(self.end, End::Whole) { self.written_bytes } else { held_back }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(held_bytes) = &self.held_bytes {
            held_bytes.sub(gauge_value(self.written_bytes));
        }
    }
}

fn gauge_value(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, TryStreamExt as _};

    use super::*;

    fn spool(
        whole: &[u8],
        size_bytes: Option<u64>,
        memory_bytes_max: usize,
    ) -> (tempfile::TempDir, Spool) {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(directory.path()).unwrap();
        let key = StoreKey::config(&"crates-io".parse().unwrap());
        (directory, Spool::new(key, Sha256::of(whole), size_bytes, scratch, memory_bytes_max))
    }

    async fn read(reader: SpoolReader) -> Result<Vec<u8>, SpoolError> {
        reader.into_stream().map_ok(|piece| piece.to_vec()).try_concat().await
    }

    fn body() -> Vec<Bytes> {
        (0..100_u8).map(|n| Bytes::from(vec![n; 1000])).collect()
    }

    #[tokio::test]
    async fn readers_at_any_speed_get_every_byte_from_memory_and_from_disk() {
        let whole = body().concat();
        for memory_bytes_max in [0, 2500, 1 << 20] {
            for size_bytes in [None, Some(100_000)] {
                let (_directory, mut spool) = spool(&whole, size_bytes, memory_bytes_max);
                let early = tokio::spawn(read(spool.reader()));
                for chunk in body() {
                    spool.write(chunk).await.unwrap();
                    tokio::task::yield_now().await;
                }
                let middle = spool.reader();
                let late = spool.reader();
                let verified = spool.commit(Sha256::of(&whole)).unwrap();
                assert_eq!(
                    matches!(verified.payload, Payload::File(_)),
                    memory_bytes_max < 100_000
                );
                assert_eq!(early.await.unwrap().unwrap(), whole);
                assert_eq!(read(middle).await.unwrap(), whole);
                assert_eq!(late.size_bytes(), Some(100_000));
                drop(verified);
                assert_eq!(read(late).await.unwrap(), whole);
            }
        }
    }

    #[tokio::test]
    async fn the_last_byte_comes_only_with_the_right_checksum() {
        for size_bytes in [None, Some(3)] {
            let (_directory, mut spool) = spool(b"abd", size_bytes, 1 << 20);
            let mut stream = std::pin::pin!(spool.reader().into_stream());
            spool.write(Bytes::from("abc")).await.unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), "ab");
            spool.commit(Sha256::of(b"abc")).unwrap_err();
            assert!(stream.next().await.unwrap().is_err());
        }
    }

    #[tokio::test]
    async fn a_part_is_its_bytes_and_its_end_too_waits_for_the_checksum() {
        let whole = body().concat();
        for memory_bytes_max in [0, 1 << 20] {
            let (_directory, mut spool) = spool(&whole, Some(100_000), memory_bytes_max);
            for part in [0..1_usize, 500..1500, 99_000..100_000, 0..100_000] {
                let late = spool.reader().into_part(part.start as u64..part.end as u64);
                let expected = &whole[part.clone()];
                if spool.written_bytes() == 0 {
                    for chunk in body() {
                        spool.write(chunk).await.unwrap();
                    }
                }
                let mut late = std::pin::pin!(late);
                let mut read = Vec::new();
                while read.len() + 1 < expected.len() {
                    read.extend_from_slice(&late.next().await.unwrap().unwrap());
                }
                assert_eq!(read, expected[..expected.len() - 1], "{part:?}");
                assert!(futures_util::FutureExt::now_or_never(late.next()).is_none(), "{part:?}");
            }
            let reader = spool.reader();
            spool.commit(Sha256::of(&whole)).unwrap();
            let part = reader.into_part(500..1500).map_ok(|piece| piece.to_vec());
            assert_eq!(part.try_concat().await.unwrap(), whole[500..1500]);
        }
    }

    #[tokio::test]
    async fn a_failed_or_abandoned_fill_is_an_error_for_every_reader() {
        let (_directory, mut failed) = spool(b"", Some(10), 1 << 20);
        let reader = failed.reader();
        failed.write(Bytes::from("ab")).await.unwrap();
        failed.fail(Failure::own(Reason::UpstreamCut, "cut"));
        assert_eq!(read(reader).await.unwrap_err().0.reason, Reason::UpstreamCut);

        let (_directory, abandoned) = spool(b"", None, 1 << 20);
        let reader = abandoned.reader();
        drop(abandoned);
        assert!(read(reader).await.is_err());
    }

    #[tokio::test]
    async fn what_is_held_is_shown_until_the_last_reader_is_gone() {
        for memory_bytes_max in [2500, 1 << 20] {
            let held_bytes = IntGauge::new("held", "Held.").unwrap();
            let (_directory, spool) = spool(b"", None, memory_bytes_max);
            let mut spool = spool.metered(&held_bytes);
            for chunk in body() {
                spool.write(chunk).await.unwrap();
            }
            assert_eq!(held_bytes.get(), 100_000);
            let reader = spool.reader();
            spool.fail(Failure::own(Reason::UpstreamCut, "cut"));
            assert_eq!(held_bytes.get(), 100_000);
            drop(reader);
            assert_eq!(held_bytes.get(), 0);
        }
    }

    #[tokio::test]
    async fn an_empty_body_can_be_whole() {
        let (_directory, spool) = spool(b"", Some(0), 1 << 20);
        let reader = spool.reader();
        spool.commit(Sha256::of(b"")).unwrap();
        assert_eq!(read(reader).await.unwrap(), b"");
    }
}
