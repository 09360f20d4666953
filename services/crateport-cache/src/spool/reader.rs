//! The readers of a spool: each has its own position and its own speed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crateport_store::{FileReader, ObjectStream};
use crateport_types::Sha256;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::{End, Shared, SpoolError, State};

/// A reader's end: all the bytes, from the first.
#[derive(Clone)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
}

/// What a reader finds at its position.
enum Piece {
    Memory(Bytes),
    File(Arc<std::fs::File>, Range<u64>),
    NotYet,
    End,
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>, changed: watch::Receiver<()>) -> Self {
        Self { shared, changed }
    }

    /// What the digest of the whole must be.
    pub(crate) fn checksum(&self) -> &Sha256 {
        &self.shared.checksum
    }

    /// The size of the whole, if upstream told it or the fill has ended.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        let state = self.shared.lock();
        if matches!(state.end, End::Whole) {
            Some(state.written_bytes)
        } else {
            self.shared.size_bytes
        }
    }

    /// Waits until there is a byte to read, or the fill has ended.
    ///
    /// # Errors
    ///
    /// When it failed before there was one.
    pub async fn begun(&mut self) -> Result<(), SpoolError> {
        self.until(|state, size_bytes| state.readable_bytes(size_bytes) > 0).await
    }

    /// Waits until the fill has ended.
    ///
    /// # Errors
    ///
    /// When it failed: the body will never be whole.
    pub async fn ended(&mut self) -> Result<(), SpoolError> {
        self.until(|_, _| false).await
    }

    async fn until(
        &mut self,
        is_enough: fn(&State, Option<u64>) -> bool,
    ) -> Result<(), SpoolError> {
        loop {
            self.changed.borrow_and_update();
            {
                let state = self.shared.lock();
                match &state.end {
                    End::Whole => return Ok(()),
                    _ if is_enough(&state, self.shared.size_bytes) => return Ok(()),
                    End::Failed(error) => return Err(error.clone()),
                    End::NotYet => {}
                }
            }
            // A writer that is gone has ended the spool, so the next look tells.
            drop(self.changed.changed().await);
        }
    }

    /// All the bytes as they come. Ends when the body is whole and verified, else with an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, SpoolError>> + Send + 'static {
        self.into_part(0..u64::MAX)
    }

    /// A part of the bytes, as they come. It too ends only when the whole body is verified.
    pub fn into_part(
        self,
        part: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, SpoolError>> + Send + 'static {
        stream::try_unfold(
            (self, part, None::<ObjectStream>),
            async |(mut reader, mut left, mut file)| {
                loop {
                    if let Some(pieces) = &mut file {
                        if let Some(piece) = pieces.next().await {
                            let piece = piece.map_err(|error| SpoolError(error.into()))?;
                            left.start += piece.len() as u64;
                            return Ok(Some((piece, (reader, left, file))));
                        }
                        file = None;
                    }
                    if left.is_empty() {
                        return Ok(None);
                    }
                    match reader.piece(&left)? {
                        Piece::Memory(piece) => {
                            left.start += piece.len() as u64;
                            return Ok(Some((piece, (reader, left, None))));
                        }
                        Piece::File(open, range) => {
                            file = Some(
                                FileReader::new(reader.shared.key.clone(), open, range)
                                    .into_stream(),
                            );
                        }
                        Piece::End => return Ok(None),
                        // A writer that is gone has ended the spool, so the next look tells.
                        Piece::NotYet => drop(reader.changed.changed().await),
                    }
                }
            },
        )
    }

    fn piece(&mut self, left: &Range<u64>) -> Result<Piece, SpoolError> {
        self.changed.borrow_and_update();
        let state = self.shared.lock();
        let readable = state.readable_bytes(self.shared.size_bytes);
        // Of a part, too, the last byte comes only when all is well.
        let end = if matches!(state.end, End::Whole) { left.end } else { left.end - 1 };
        let readable = readable.min(end);
        if left.start < readable {
            return Ok(match &state.file {
                Some(file) => Piece::File(Arc::clone(file), left.start..readable),
                None => Piece::Memory(from_memory(&state.memory, left.start, readable)),
            });
        }
        match &state.end {
            End::NotYet => Ok(Piece::NotYet),
            End::Whole => Ok(Piece::End),
            End::Failed(error) => Err(error.clone()),
        }
    }
}

/// The rest of the chunk at `position`, up to `readable`.
fn from_memory(chunks: &[Bytes], position: u64, readable: u64) -> Bytes {
    let mut start = 0_u64;
    for chunk in chunks {
        let end = start + chunk.len() as u64;
        if position < end {
            // Both lie inside the chunk, whose length is a usize.
            let from = usize::try_from(position - start).unwrap_or_default();
            let to = usize::try_from(readable.min(end) - start).unwrap_or_default();
            return chunk.slice(from..to);
        }
        start = end;
    }
    Bytes::new()
}

impl fmt::Debug for SpoolReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolReader").field("key", &self.shared.key).finish_non_exhaustive()
    }
}
