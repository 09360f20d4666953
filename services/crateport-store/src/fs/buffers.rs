//! Buffers for pieces of files, used again and again: a new one would have to be mapped and zeroed for each piece.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// A buffer of [`SIZE_BYTES`], which comes back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
}

/// How large each is.
pub(super) const SIZE_BYTES: usize = 128 * 1024;
/// As many are kept for later; those beyond are freed.
const KEPT_MAX: usize = 64;

static FREE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

impl Buffer {
    pub(super) fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { bytes: free.unwrap_or_else(|| vec![0; SIZE_BYTES].into()), filled: 0 }
    }

    /// The first `filled` bytes, for as long as somebody holds them.
    pub(super) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = filled;
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_MAX {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_that_were_filled_and_stay_while_somebody_holds_them() {
        let mut first = Buffer::take();
        first[..3].copy_from_slice(b"abc");
        let held = first.freeze(3);
        let mut second = Buffer::take();
        second[..3].copy_from_slice(b"xyz");
        assert_eq!((&*held, second.freeze(2)), (&b"abc"[..], Bytes::from_static(b"xy")));
    }
}
