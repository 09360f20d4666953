//! The bytes of one fill, taken from as many sources as it needs, one after the other.
//!
//! A source goes on where the one before it broke off, or begins with the first byte again; then what is here already is
//! passed over. That they tell the same is shown by the digest of the whole.

use bytes::{Buf as _, Bytes};
use crateport_types::{Hasher, Reason};
use crateport_upstream::UpstreamError;

use crate::Failure;
use crate::spool::{Spool, SpoolReader, Verified};

#[derive(Debug)]
pub(super) struct Intake {
    spool: Spool,
    hasher: Hasher,
    size_bytes_max: u64,
    /// What is still to come of the present source and is here already.
    known_bytes: u64,
    /// Whether another replica is one of the sources.
    is_from_peer: bool,
}

impl Intake {
    /// Nothing yet.
    pub(super) fn new(spool: Spool, size_bytes_max: u64) -> Self {
        Self {
            spool,
            hasher: Hasher::default(),
            size_bytes_max,
            known_bytes: 0,
            is_from_peer: false,
        }
    }

    pub(super) fn reader(&self) -> SpoolReader {
        self.spool.reader()
    }

    pub(super) fn taken_bytes(&self) -> u64 {
        self.spool.written_bytes()
    }

    /// What comes from now on begins with the first byte again.
    pub(super) fn begin_again(&mut self) {
        self.known_bytes = self.taken_bytes();
    }

    /// The same, and it comes from another replica.
    pub(super) fn begin_again_at_peer(&mut self) {
        self.is_from_peer = true;
        self.begin_again();
    }

    /// What comes from now on begins with the first byte that is missing. Tells which one that is.
    pub(super) fn go_on(&mut self) -> u64 {
        self.known_bytes = 0;
        self.taken_bytes()
    }

    /// Takes the next bytes of the present source.
    pub(super) async fn take(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        let known = usize::try_from(self.known_bytes).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(known);
        self.known_bytes -= known as u64;
        if chunk.is_empty() {
            return Ok(());
        }
        let size_bytes_max = self.size_bytes_max;
        if self.taken_bytes() + chunk.len() as u64 > size_bytes_max {
            return Err(UpstreamError::TooLarge { size_bytes_max }.into());
        }
        self.hasher.update(&chunk);
        Ok(self.spool.write(chunk).await?)
    }

    /// Ends what everyone reads: as whole if everything was received and is right, else as failed. Before a failure is
    /// seen, `flight` is over.
    pub(super) fn end<F>(
        self,
        received: Result<(), Failure>,
        flight: F,
    ) -> Result<(Verified, Option<F>), Failure> {
        let Self { spool, hasher, is_from_peer, .. } = self;
        let computed = hasher.finish();
        let is_right = received.is_ok() && computed == *spool.checksum();
        let flight = is_right.then_some(flight);
        let failure = match received {
            // Upstream is to blame for what it sent, and for nothing else.
            Ok(()) if is_from_peer && !is_right => {
                let detail = "what another replica sent has not the checksum of this object";
                Failure::own(Reason::PeerInvalid, detail)
            }
            Ok(()) => return Ok((spool.commit(computed)?, flight)),
            Err(failure) => failure,
        };
        spool.fail(failure.clone());
        Err(failure)
    }

    /// The bytes will never be whole.
    pub(super) fn fail(self, failure: Failure) {
        self.spool.fail(failure);
    }
}

#[cfg(test)]
mod tests {
    use crateport_store::Scratch;
    use crateport_types::{Sha256, StoreKey};
    use futures_util::TryStreamExt as _;

    use super::*;

    const WHOLE: &[u8] = b"0123456789";

    fn intake(directory: &tempfile::TempDir, size_bytes_max: u64) -> Intake {
        let scratch = Scratch::open(directory.path()).unwrap();
        let key = StoreKey::config(&"crates-io".parse().unwrap());
        Intake::new(Spool::new(key, Sha256::of(WHOLE), None, scratch, 4), size_bytes_max)
    }

    #[tokio::test]
    async fn sources_that_break_off_anywhere_make_one_body() {
        for cuts in [&[][..], &[0], &[3], &[3, 3], &[3, 1, 7], &[9, 10], &[10]] {
            let directory = tempfile::tempdir().unwrap();
            let mut intake = intake(&directory, 10);
            let reader = intake.reader();
            for cut in cuts.iter().copied().chain([WHOLE.len()]) {
                intake.begin_again();
                for chunk in WHOLE[..cut].chunks(4) {
                    intake.take(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
            }
            intake.end(Ok(()), ()).unwrap();
            let read = reader.into_stream().map_ok(|piece| piece.to_vec());
            assert_eq!(read.try_concat().await.unwrap(), WHOLE, "{cuts:?}");
        }
    }

    #[tokio::test]
    async fn sources_that_differ_are_not_taken_for_one_body() {
        let directory = tempfile::tempdir().unwrap();
        let mut intake = intake(&directory, 10);
        intake.take(Bytes::from_static(b"x123")).await.unwrap();
        intake.begin_again();
        intake.take(Bytes::from_static(WHOLE)).await.unwrap();
        let failure = intake.end(Ok(()), ()).unwrap_err();
        assert_eq!(failure.reason, Reason::ChecksumMismatch);
    }

    #[tokio::test]
    async fn upstream_is_not_blamed_for_what_another_replica_sent() {
        let directory = tempfile::tempdir().unwrap();
        let mut intake = intake(&directory, 10);
        intake.begin_again_at_peer();
        intake.take(Bytes::from_static(b"x12")).await.unwrap();
        assert_eq!(intake.go_on(), 3);
        intake.take(Bytes::from_static(&WHOLE[3..])).await.unwrap();
        let failure = intake.end(Ok(()), ()).unwrap_err();
        assert_eq!(failure.reason, Reason::PeerInvalid);
    }

    #[tokio::test]
    async fn what_is_known_already_does_not_count_twice() {
        let directory = tempfile::tempdir().unwrap();
        let mut intake = intake(&directory, 10);
        for _ in 0..2 {
            intake.begin_again();
            intake.take(Bytes::from_static(WHOLE)).await.unwrap();
        }
        assert_eq!(intake.taken_bytes(), 10);
        assert!(intake.take(Bytes::from_static(b"x")).await.is_err(), "too large");
    }
}
