//! The bytes that are put: in memory, or in a scratch file from which they are read as they are sent.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::primitives::{ByteStream, Length};
use bytes::Bytes;
use crateport_types::{Hasher, Sha256, StoreKey};

use crate::{FileReader, Payload, ScratchFile, StoreError};

/// Bytes of which any part can be sent, more than once.
#[derive(Clone)]
pub(super) enum Source {
    Memory(Bytes),
    File(Arc<ScratchFile>),
}

/// The pieces in which a file is read.
const PIECE_BYTES: usize = 128 * 1024;

impl From<Payload> for Source {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Bytes(bytes) => Self::Memory(bytes),
            Payload::File(file) => Self::File(Arc::new(file)),
        }
    }
}

impl Source {
    pub(super) fn size_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File(file) => Ok(file.file().metadata()?.len()),
        }
    }

    /// A part, to be sent, and sent again when that fails.
    pub(super) async fn body(&self, range: Range<u64>) -> io::Result<ByteStream> {
        match self {
            Self::Memory(bytes) => Ok(ByteStream::from(bytes.slice(within(&range)?))),
            Self::File(file) => ByteStream::read_from()
                .path(file.path())
                .offset(range.start)
                .length(Length::Exact(range.end - range.start))
                .buffer_size(PIECE_BYTES)
                .build()
                .await
                .map_err(io::Error::other),
        }
    }

    /// Feeds a part to the hashers, which may be one of the part and one of the whole.
    pub(super) async fn digest(
        &self,
        key: &StoreKey,
        range: Range<u64>,
        whole: &mut Hasher,
    ) -> Result<Sha256, StoreError> {
        let mut part = Hasher::default();
        let mut take = |piece: &[u8]| {
            part.update(piece);
            whole.update(piece);
        };
        match self {
            Self::Memory(bytes) => {
                let range = within(&range).map_err(|error| StoreError::of("read", key, error))?;
                for piece in bytes.slice(range).chunks(PIECE_BYTES) {
                    take(piece);
                    tokio::task::yield_now().await;
                }
            }
            Self::File(file) => {
                let mut reader = FileReader::new(key.clone(), Arc::clone(file.file()), range);
                while let Some(piece) = reader.next().await? {
                    take(&piece);
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(part.finish())
    }
}

fn within(range: &Range<u64>) -> io::Result<Range<usize>> {
    let index = |at: u64| usize::try_from(at).map_err(io::Error::other);
    Ok(index(range.start)?..index(range.end)?)
}
