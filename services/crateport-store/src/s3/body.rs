//! Bodies on their way in: no body is short, wrong or endless without an error.

use std::io;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use crateport_types::{Hasher, Sha256, StoreKey};
use tokio::sync::OwnedSemaphorePermit;

use crate::{ObjectStream, StoreError};

/// A body on its way.
pub(super) struct Reading {
    pub(super) key: StoreKey,
    /// How errors name the object.
    pub(super) name: String,
    pub(super) body: ByteStream,
    pub(super) left_bytes: u64,
    pub(super) idle_max: Duration,
    pub(super) check: Option<Check>,
}

/// A whole object is compared with its digest on the way, and its last piece waits for the result: whoever has all
/// bytes has the right ones.
pub(super) struct Check {
    expected: Sha256,
    hasher: Hasher,
    held: Option<Bytes>,
}

impl Reading {
    /// The turn is held until the body is read or dropped.
    pub(super) fn into_stream(self, turn: OwnedSemaphorePermit) -> ObjectStream {
        Box::pin(futures_util::stream::try_unfold((self, turn), async |(mut reading, turn)| {
            Ok(reading.next().await?.map(|piece| (piece, (reading, turn))))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(piece) = self.arrived().await? else { return self.end() };
            self.left_bytes = self.left_bytes.checked_sub(piece.len() as u64).ok_or_else(|| {
                let text = "the server sent more than it said";
                self.failed(io::Error::new(io::ErrorKind::InvalidData, text))
            })?;
            let Some(check) = &mut self.check else { return Ok(Some(piece)) };
            check.hasher.update(&piece);
            if let Some(before) = check.held.replace(piece) {
                return Ok(Some(before));
            }
        }
    }

    async fn arrived(&mut self) -> Result<Option<Bytes>, StoreError> {
        match tokio::time::timeout(self.idle_max, self.body.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => {
                Err(self.failed(io::Error::new(io::ErrorKind::ConnectionAborted, error)))
            }
            Err(_) => {
                let text = "no more bytes came in time";
                Err(self.failed(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left_bytes > 0 {
            return Err(StoreError::Cut { key: self.key.clone() });
        }
        let Some(check) = self.check.take() else { return Ok(None) };
        if check.hasher.finish() != check.expected {
            return Err(StoreError::Damaged { key: self.key.clone() });
        }
        Ok(check.held)
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::of("read", &self.name, error)
    }
}

impl Check {
    pub(super) fn new(expected: Sha256) -> Self {
        Self { expected, hasher: Hasher::default(), held: None }
    }
}
