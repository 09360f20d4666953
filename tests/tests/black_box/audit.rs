//! Looks at the store from outside: every byte that is visible must be right, and nothing may be left over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{Crateport, ScriptedUpstream};
use serde_json::Value;

use crate::house::{CRATES_IO, until_none};

/// Waits until the store of `crateport` has nothing but what `upstream` has, and no scratch files.
pub(crate) async fn store_is_right(crateport: &Crateport, upstream: &ScriptedUpstream) {
    let store = crateport.store();
    until_none(async || complaint(&store, upstream)).await;
}

/// The crates that are visible.
pub(crate) fn stored_crates(store: &Path) -> Vec<PathBuf> {
    files(&store.join("v1").join(CRATES_IO).join("crates"))
}

/// What lies in scratch space, the locks of living processes left out.
pub(crate) fn scratch_files(store: &Path) -> Vec<PathBuf> {
    let mut files = files(&store.join("scratch"));
    files.retain(|file| !file.ends_with("lock"));
    files
}

/// What is wrong with the bytes that are visible, if anything is; scratch space is not looked at.
pub(crate) fn wrong_byte(store: &Path, upstream: &ScriptedUpstream) -> Option<String> {
    let registry = store.join("v1").join(CRATES_IO);
    let wrong_index = files(&registry.join("index")).into_iter().find_map(|file| {
        let name = name_of(&file);
        let wrong = name != "config.json"
            && std::fs::read(&file).is_ok_and(|bytes| bytes != upstream.index_bytes(&name));
        wrong.then(|| format!("{} is not upstream's", file.display()))
    });
    wrong_index.or_else(|| {
        stored_crates(store).into_iter().find_map(|file| {
            let name = file.parent().map(name_of).unwrap_or_default();
            let wanted = checksums(upstream, &name).remove(&name_of(&file));
            let found = std::fs::read(&file).ok().map(|bytes| sha256_hex(&bytes));
            (found.is_some() && found != wanted)
                .then(|| format!("{} is {found:?}, not {wanted:?}", file.display()))
        })
    })
}

fn complaint(store: &Path, upstream: &ScriptedUpstream) -> Option<String> {
    let left = scratch_files(store);
    let left = (!left.is_empty()).then(|| format!("left in scratch space: {left:?}"));
    wrong_byte(store, upstream).or(left)
}

/// By the name of the file in the store.
fn checksums(upstream: &ScriptedUpstream, name: &str) -> BTreeMap<String, String> {
    let text = upstream.index_bytes(name);
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an index line"));
    let word = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    lines
        .map(|line| (format!("{name}-{}.crate", word(&line, "vers")), word(&line, "cksum")))
        .collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Everything below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    // A folder may come and go while it is looked at.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
    found.sort();
    found
}
