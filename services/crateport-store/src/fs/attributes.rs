//! The texts beside an object, in a file of their own.
//!
//! Two files cannot be replaced at once, so the attributes name the version of the object they belong to. Where
//! the two disagree, after a crash or a write by another hand, the object has no attributes.

use std::io::{self, Write as _};

use crateport_types::StoreKey;
use serde::{Deserialize, Serialize};

use super::FsStore;
use crate::{Attributes, ObjectVersion};

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    attributes: Attributes,
}

impl FsStore {
    pub(super) fn attributes_blocking(
        &self,
        key: &StoreKey,
        version: ObjectVersion,
    ) -> io::Result<Attributes> {
        let text = match std::fs::read(self.attributes_path(key)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attributes::new()),
            Err(error) => return Err(error),
        };
        let stored = serde_json::from_slice::<Stored>(&text)
            .ok()
            .filter(|stored| stored.version == version.0);
        Ok(stored.map(|stored| stored.attributes).unwrap_or_default())
    }

    pub(super) fn put_attributes_blocking(
        &self,
        key: &StoreKey,
        version: ObjectVersion,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let file = self.scratch.file()?;
        let stored = Stored { version: version.0, attributes: attributes.clone() };
        (&**file.file()).write_all(&serde_json::to_vec(&stored)?)?;
        self.place(file, &self.attributes_path(key))
    }
}
