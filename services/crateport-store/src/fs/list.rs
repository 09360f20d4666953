//! Listing keys in ascending order.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crateport_types::StoreKey;

use super::meta;
use crate::ObjectMeta;

/// Walks the tree below `prefix`, which ends in a slash. Directories that lie wholly before `after` are not read.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&StoreKey>,
    count_max: usize,
) -> io::Result<Vec<(StoreKey, ObjectMeta)>> {
    let mut walk =
        Walk { root, after: after.map_or("", StoreKey::as_str), count_max, found: Vec::new() };
    walk.directory(prefix)?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    after: &'a str,
    count_max: usize,
    found: Vec<(StoreKey, ObjectMeta)>,
}

impl Walk<'_> {
    fn directory(&mut self, prefix: &str) -> io::Result<()> {
        let entries = match fs::read_dir(self.root.join(prefix)) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut names = entries.iter().filter_map(|entry| name(prefix, entry)).collect::<Vec<_>>();
        names.sort_unstable();
        for name in names {
            if self.found.len() >= self.count_max {
                break;
            }
            if name.ends_with('/') {
                let wholly_before = *name < *self.after && !self.after.starts_with(&*name);
                if !wholly_before {
                    self.directory(&name)?;
                }
            } else if *name > *self.after {
                self.file(&name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> io::Result<()> {
        match rustix::fs::stat(self.root.join(name)) {
            Ok(stat) => self.found.extend(StoreKey::listed(name).map(|key| (key, meta(&stat)))),
            // Deleted since the directory was read.
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The key of a file, or that of a directory with a slash, so that both sort as keys do.
fn name(prefix: &str, entry: &DirEntry) -> Option<String> {
    let slash = if entry.file_type().ok()?.is_dir() { "/" } else { "" };
    Some(format!("{prefix}{}{slash}", entry.file_name().to_str()?))
}
