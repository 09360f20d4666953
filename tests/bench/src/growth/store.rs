//! Directories with many objects in them, made once and kept for later runs.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::registry::{Random, index_path};
use crate::stand::Stand;
use crate::upstream::grown_index;

/// Where Crateport keeps index files of crates.io, below its store.
const INDEX: &str = "v1/crates-io/index";
/// What says that a directory is whole.
const MARK: &str = "whole";
/// Names begin with one of so many first pairs and second pairs of letters, as the names on crates.io lie in some
/// thousands of directories.
const PAIRS: [usize; 2] = [26 * 26, 8];

/// The name of an object; the upstream knows all of them.
pub(super) fn name(number: usize) -> String {
    let mut random = Random::new(u64::try_from(number).unwrap_or(0));
    let mut letters = String::new();
    for pairs in PAIRS {
        let pair = random.below(pairs);
        for value in [pair / 26, pair % 26] {
            letters.extend(u8::try_from(value).map(|value| char::from(b'a' + value)));
        }
    }
    format!("{letters}{}{number}", crate::upstream::GROWN)
}

/// The directory with so many objects.
pub(super) fn prepare(stand: &Stand, known: usize) -> Result<PathBuf> {
    let folder = stand.kept_folder(&format!("store-{known}"));
    let mark = folder.join(MARK);
    if mark.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let index = folder.join(INDEX);
    for number in 0..known {
        let name = name(number);
        let path = index.join(index_path(&name));
        let text = grown_index(&name);
        if fs::write(&path, &text).is_err() {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, &text)?;
        }
    }
    fs::create_dir_all(&folder)?;
    fs::write(mark, "")?;
    Ok(folder)
}
