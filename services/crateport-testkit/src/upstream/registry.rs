//! What the upstream holds: index files byte for byte, and `.crate` files.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::krate::Published;

#[derive(Default)]
pub(super) struct Registry {
    /// By index key, `se/rd/serde`.
    pub(super) files: BTreeMap<String, Stored>,
    /// By name and version.
    pub(super) crates: BTreeMap<(String, String), StoredCrate>,
    /// Dist files, by path.
    pub(super) dist: BTreeMap<String, Stored>,
    /// Goes up with every change; a file's `Last-Modified` comes from it.
    revision: u64,
    /// Goes up with every answer, for validators that flap.
    pub(super) answers: u64,
}

pub(super) struct Stored {
    pub(super) bytes: Bytes,
    pub(super) revision: u64,
}

pub(super) struct StoredCrate {
    pub(super) file: Stored,
    pub(super) cksum: String,
}

/// `serde` → `se/rd/serde`, always lower case.
pub(super) fn index_key(name: &str) -> String {
    let name = name.to_lowercase();
    format!("{}/{name}", prefix(&name))
}

/// cargo's `{prefix}`: the folders of a name, in its own case.
pub(super) fn prefix(name: &str) -> String {
    match name.len() {
        0..=2 => name.len().to_string(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    }
}

impl Registry {
    fn stored(&mut self, bytes: Bytes) -> Stored {
        self.revision += 1;
        Stored { bytes, revision: self.revision }
    }

    pub(super) fn publish(&mut self, published: &Published) {
        let Published { name, version, cksum, bytes, index_line } = published;
        let old =
            self.files.get(&index_key(name)).map(|stored| stored.bytes.clone()).unwrap_or_default();
        let mut lines = lines(&old);
        match lines.iter_mut().find(|line| version_of(line).as_ref() == Some(version)) {
            Some(line) => index_line.clone_into(line),
            None => lines.push(index_line.clone()),
        }
        self.replace_index(name, join(&lines));
        let krate = StoredCrate { file: self.stored(bytes.clone()), cksum: cksum.clone() };
        self.crates.insert((name.clone(), version.clone()), krate);
    }

    #[track_caller]
    pub(super) fn yank(&mut self, name: &str, version: &str) {
        let mut lines = lines(&self.index_bytes(name));
        let line = lines.iter_mut().find(|line| version_of(line).as_deref() == Some(version));
        let line = line.unwrap_or_else(|| panic!("{name} {version} was never published"));
        *line = line.replace("\"yanked\":false", "\"yanked\":true");
        self.replace_index(name, join(&lines));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.files.remove(&index_key(name));
        self.crates.retain(|(stored, _), _| stored != name);
    }

    pub(super) fn remove_crate(&mut self, name: &str, version: &str) {
        self.crates.remove(&(name.to_owned(), version.to_owned()));
    }

    pub(super) fn replace_index(&mut self, name: &str, bytes: Bytes) {
        let stored = self.stored(bytes);
        self.files.insert(index_key(name), stored);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(&index_key(name))
    }

    #[track_caller]
    pub(super) fn index_bytes(&self, name: &str) -> Bytes {
        let stored =
            self.files.get(&index_key(name)).unwrap_or_else(|| panic!("{name} has no index file"));
        stored.bytes.clone()
    }

    pub(super) fn put_file(&mut self, path: &str, bytes: Bytes) {
        let stored = self.stored(bytes);
        self.dist.insert(path.to_owned(), stored);
    }

    #[track_caller]
    pub(super) fn file(&self, path: &str) -> Bytes {
        let stored = self.dist.get(path).unwrap_or_else(|| panic!("{path} was never put there"));
        stored.bytes.clone()
    }

    #[track_caller]
    pub(super) fn corrupt_crate(&mut self, name: &str, version: &str) {
        let key = (name.to_owned(), version.to_owned());
        let krate = self
            .crates
            .get_mut(&key)
            .unwrap_or_else(|| panic!("{name} {version} was never published"));
        krate.file.bytes = flip_middle_byte(&krate.file.bytes);
    }
}

/// The same length, one bit different.
pub(super) fn flip_middle_byte(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

fn lines(bytes: &Bytes) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

fn join(lines: &[String]) -> Bytes {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into()
}

fn version_of(line: &str) -> Option<String> {
    let value = serde_json::from_str::<Value>(line).ok()?;
    Some(value.get("vers")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::krate::krate;

    #[test]
    fn index_keys_follow_the_length_of_the_name() {
        let table = [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("abc", "3/a/abc"),
            ("Serde", "se/rd/serde"),
            ("a-_b", "a-/_b/a-_b"),
        ];
        for (name, key) in table {
            assert_eq!(index_key(name), key);
        }
        assert_eq!(prefix("SeRde"), "Se/Rd");
    }

    #[test]
    fn an_index_file_keeps_publish_order_and_yanks_in_place() {
        let mut registry = Registry::default();
        let versions = ["1.0.0", "0.9.0", "1.0.1"];
        for version in versions {
            registry.publish(&krate("a", version).build());
        }
        registry.yank("a", "0.9.0");
        registry.publish(&krate("a", "1.0.0").dep("b", "1").build());
        let lines = lines(&registry.index_bytes("a"));
        assert_eq!(
            lines.iter().map(|line| version_of(line).unwrap()).collect::<Vec<_>>(),
            versions
        );
        let yanked = lines.iter().map(|line| line.contains("\"yanked\":true")).collect::<Vec<_>>();
        assert_eq!(yanked, [false, true, false]);
        assert!(lines[0].contains("\"name\":\"b\""));
    }
}
