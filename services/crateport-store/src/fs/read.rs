//! Reading files without leaving the thread when the page cache has what is wanted.
//!
//! A warm object is opened with `RESOLVE_CACHED` and read with `RWF_NOWAIT`: both answer at once or say that they
//! would have to wait, and only then is the work handed to a thread that may block. Systems without these calls
//! always use that thread.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crateport_types::StoreKey;
use rustix::fs::Stat;

use super::FsStore;
use super::buffers::{self, Buffer};
use crate::{ObjectStream, StoreError};

/// The bytes of one open file, in pieces.
#[derive(Debug)]
pub struct FileReader {
    key: StoreKey,
    file: Arc<File>,
    left: Range<u64>,
}

pub(super) struct Open {
    pub(super) file: File,
    pub(super) stat: Stat,
}

/// One piece: small enough for many readers at once, large enough that a system call per piece does not show.
const PIECE_BYTES: u64 = buffers::SIZE_BYTES as u64;
/// Up to here a buffer of the right size costs less than one of the large ones is worth.
const SMALL_BYTES: usize = 16 * 1024;

impl FsStore {
    pub(super) async fn open_object(&self, key: &StoreKey) -> Result<Option<Open>, StoreError> {
        let path = self.path(key);
        let opened = match cached::open(&path) {
            Some(opened) => opened,
            None => tokio::task::spawn_blocking(move || open(&path))
                .await
                .map_err(io::Error::other)
                .flatten(),
        };
        match opened {
            Ok(open) => Ok(Some(open)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::of("open", key, error)),
        }
    }
}

pub(super) fn open(path: &Path) -> io::Result<Open> {
    let file = File::open(path)?;
    let stat = rustix::fs::fstat(&file)?;
    Ok(Open { file, stat })
}

impl FileReader {
    /// Reads `range` of `file`; the file must be that long. `key` only names it in errors.
    #[must_use]
    pub fn new(key: StoreKey, file: Arc<File>, range: Range<u64>) -> Self {
        Self { key, file, left: range }
    }

    /// The next piece, or `None` at the end of the range.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or ends before the range does.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let wanted = PIECE_BYTES.min(self.left.end.saturating_sub(self.left.start));
        let Ok(length @ 1..) = usize::try_from(wanted) else { return Ok(None) };
        let start = self.left.start;
        let piece = match cached::read(&self.file, start, length) {
            Some(piece) => piece,
            None => {
                let file = Arc::clone(&self.file);
                let read = tokio::task::spawn_blocking(move || read(&file, start, length)).await;
                read.map_err(io::Error::other)
                    .flatten()
                    .map_err(|error| StoreError::of("read", &self.key, error))?
            }
        };
        if piece.is_empty() {
            return Err(StoreError::Cut { key: self.key.clone() });
        }
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }

    /// The pieces as a stream.
    #[must_use]
    pub fn into_stream(self) -> ObjectStream {
        Box::pin(futures_util::stream::try_unfold(self, async |mut reader| {
            Ok(reader.next().await?.map(|piece| (piece, reader)))
        }))
    }
}

fn read(file: &File, start: u64, length: usize) -> io::Result<Bytes> {
    fill(length, |buffer| file.read_at(buffer, start))
}

/// A buffer of at most `length` bytes, as far as `read` fills it.
fn fill<E>(length: usize, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Bytes, E> {
    if length <= SMALL_BYTES {
        let mut buffer = BytesMut::zeroed(length);
        let filled = read(&mut buffer)?;
        buffer.truncate(filled);
        return Ok(buffer.freeze());
    }
    let mut buffer = Buffer::take();
    let filled = read(buffer.get_mut(..length).unwrap_or_default())?;
    Ok(buffer.freeze(filled))
}

/// What can be had without waiting. `None` means: ask where one may wait.
#[cfg(target_os = "linux")]
mod cached {
    use std::fs::File;
    use std::io::{self, IoSliceMut};
    use std::path::Path;

    use bytes::Bytes;
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    use rustix::io::{Errno, ReadWriteFlags};

    use super::Open;

    pub(super) fn open(path: &Path) -> Option<io::Result<Open>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)
        {
            Ok(descriptor) => File::from(descriptor),
            Err(Errno::NOENT) => return Some(Err(Errno::NOENT.into())),
            Err(_) => return None,
        };
        let stat = rustix::fs::fstat(&file).ok()?;
        Some(Ok(Open { file, stat }))
    }

    /// An empty read means the end of the file, and is left to the other path to find out.
    pub(super) fn read(file: &File, start: u64, length: usize) -> Option<Bytes> {
        let read = super::fill(length, |buffer| {
            let into = &mut [IoSliceMut::new(buffer)];
            rustix::io::preadv2(file, into, start, ReadWriteFlags::NOWAIT)
        });
        read.ok().filter(|piece| !piece.is_empty())
    }
}

#[cfg(not(target_os = "linux"))]
mod cached {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use bytes::Bytes;

    pub(super) fn open(_: &Path) -> Option<io::Result<super::Open>> {
        None
    }

    pub(super) fn read(_: &File, _: u64, _: usize) -> Option<Bytes> {
        None
    }
}
