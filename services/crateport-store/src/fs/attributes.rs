//! The texts beside an object, in a file of their own.
//!
//! Two files cannot be replaced at once. After a crash, or a write by another hand, the texts may belong to earlier
//! bytes; whoever must know keeps a digest among them and compares.

use std::io::{self, Write as _};

use crateport_types::StoreKey;

use super::FsStore;
use crate::Attributes;

impl FsStore {
    pub(super) fn attributes_blocking(&self, key: &StoreKey) -> io::Result<Attributes> {
        match std::fs::read(self.attributes_path(key)) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Attributes::new()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put_attributes_blocking(
        &self,
        key: &StoreKey,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let file = self.scratch.file()?;
        (&**file.file()).write_all(&serde_json::to_vec(attributes)?)?;
        self.place(file, &self.attributes_path(key))
    }
}
