//! Writing and deleting objects.

use std::io::{self, Write as _};
use std::path::Path;

use crateport_types::StoreKey;

use super::{FsStore, meta, read};
use crate::{ObjectMeta, Payload, PutOptions, ScratchFile};

impl FsStore {
    pub(super) fn head_blocking(&self, key: &StoreKey) -> io::Result<Option<ObjectMeta>> {
        let mut meta = match rustix::fs::stat(self.path(key)) {
            Ok(stat) => meta(&stat),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        meta.attributes = self.attributes_blocking(key)?;
        Ok(Some(meta))
    }

    pub(super) fn put_blocking(
        &self,
        key: &StoreKey,
        payload: Payload,
        put: PutOptions,
    ) -> io::Result<ObjectMeta> {
        let file = match payload {
            Payload::Bytes(bytes) => {
                let file = self.scratch.file()?;
                (&**file.file()).write_all(&bytes)?;
                file
            }
            Payload::File(file) => file,
        };
        let path = self.path(key);
        self.place(file, &path)?;
        let mut meta = meta(&read::open(&path)?.stat);
        if put.attributes.is_empty() {
            removed(std::fs::remove_file(self.attributes_path(key)))?;
        } else {
            self.put_attributes_blocking(key, &put.attributes)?;
            meta.attributes = put.attributes;
        }
        Ok(meta)
    }

    pub(super) fn delete_blocking(&self, key: &StoreKey) -> io::Result<bool> {
        let deleted = removed(std::fs::remove_file(self.path(key)))?;
        removed(std::fs::remove_file(self.attributes_path(key)))?;
        Ok(deleted)
    }

    /// Makes the bytes durable before the name: after a crash a name never leads to fewer bytes than were written.
    pub(super) fn place(&self, file: ScratchFile, path: &Path) -> io::Result<()> {
        file.file().sync_data()?;
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        file.move_to(path, &self.scratch)
    }
}

fn removed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
