//! Scratch space: files that exist only while a process works on them.
//!
//! Each process has a directory of its own below the scratch root, and holds a lock on a file in it for as long as
//! it lives. Opening scratch space removes the directories of processes that are gone, however they ended, and
//! leaves those of the living alone; so several processes can share one root.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The scratch directory of this process. Removed when the last clone and the last file of it are gone.
#[derive(Clone, Debug)]
pub struct Scratch(Arc<Owned>);

/// One file of scratch space, open for reading and writing. Removed when dropped, unless it was moved away.
#[derive(Debug)]
pub struct ScratchFile {
    path: PathBuf,
    file: Arc<File>,
    owner: Scratch,
}

#[derive(Debug)]
struct Owned {
    directory: PathBuf,
    next: AtomicU64,
    /// Held, never read: the lock says that this process lives.
    _lock: File,
}

const LOCK_NAME: &str = "lock";

impl Scratch {
    /// Makes a directory below `root` and clears what dead processes left there.
    ///
    /// # Errors
    ///
    /// When `root` cannot be made or written.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        // The new directory is locked under a name that clearing passes over, and only then gets its own.
        let name = format!("{:x}-{:08x}", std::process::id(), fastrand::u32(..));
        let unborn = root.join(format!(".{name}"));
        fs::create_dir(&unborn)?;
        let lock = File::create(unborn.join(LOCK_NAME))?;
        lock.lock()?;
        let directory = root.join(name);
        fs::rename(unborn, &directory)?;
        clear_the_dead(root)?;
        Ok(Self(Arc::new(Owned { directory, next: AtomicU64::new(0), _lock: lock })))
    }

    /// A new, empty file.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn file(&self) -> io::Result<ScratchFile> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let path = self.0.directory.join(format!("{number:x}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(ScratchFile { path, file: Arc::new(file), owner: self.clone() })
    }
}

impl ScratchFile {
    /// The open file; it stays readable after the scratch file was moved or removed.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where it lies for as long as it is neither moved nor dropped.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to `target`, atomically, in place of what may be there. What does not lie on the same file system
    /// is copied beside the target first, as a scratch file of `near`.
    ///
    /// # Errors
    ///
    /// When that fails; then it is as if nothing had been tried.
    pub fn move_to(self, target: &Path, near: &Scratch) -> io::Result<()> {
        match fs::rename(&self.path, target) {
            Err(error)
                if error.kind() == io::ErrorKind::CrossesDevices
                    && !Arc::ptr_eq(&self.owner.0, &near.0) =>
            {
                let copy = near.file()?;
                fs::copy(&self.path, &copy.path)?;
                copy.file.sync_data()?;
                copy.move_to(target, near)
            }
            moved => moved,
        }
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // Fails when it was moved away, which is as good.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // What stays behind is cleared by the next process that opens the root.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn clear_the_dead(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let dead = match File::open(entry.path().join(LOCK_NAME)) {
            Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if dead {
            // Another process may be clearing the same one.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path) -> usize {
        fs::read_dir(root).unwrap().count()
    }

    #[test]
    fn what_the_dead_left_is_cleared_and_the_living_keep_theirs() {
        let root = tempfile::tempdir().unwrap();
        let living = Scratch::open(root.path()).unwrap();
        let kept = living.file().unwrap();
        let dead = root.path().join("dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK_NAME), "").unwrap();
        fs::write(dead.join("1"), "half a crate").unwrap();

        let second = Scratch::open(root.path()).unwrap();
        assert!(!dead.exists() && kept.path.exists());
        assert_eq!(names(root.path()), 2);
        drop((kept, living, second));
        assert_eq!(names(root.path()), 0);
    }

    #[test]
    fn a_file_is_moved_whole_or_removed() {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(&root.path().join("tmp")).unwrap();
        let target = root.path().join("target");
        let file = scratch.file().unwrap();
        let path = file.path.clone();
        io::Write::write_all(&mut &**file.file(), b"whole").unwrap();
        file.move_to(&target, &scratch).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert!(!path.exists());

        let dropped = scratch.file().unwrap();
        let path = dropped.path.clone();
        assert!(path.exists());
        drop(dropped);
        assert!(!path.exists());
    }
}
