//! The files of a registry, by the path of their URL.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use crate::registry::{graph, index_path};

/// What names that are known without a file have behind their first four letters.
pub(crate) const GROWN: &str = "grow";

/// One file as it is served.
#[derive(Clone)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    /// Index files alone have it.
    pub(super) gzip: Option<Bytes>,
    pub(super) etag: HeaderValue,
    pub(super) content_type: HeaderValue,
}

/// All of them.
pub(super) struct Files(HashMap<String, File>);

impl File {
    fn index(text: Bytes) -> Result<Self> {
        let gzip = Some(Bytes::from(graph::gzip(&text)?));
        let content_type = HeaderValue::from_static("text/plain");
        Ok(Self { etag: etag(&text)?, gzip, content_type, bytes: text })
    }

    fn krate(bytes: Bytes) -> Result<Self> {
        let content_type = HeaderValue::from_static("application/gzip");
        Ok(Self { etag: etag(&bytes)?, gzip: None, content_type, bytes })
    }

    /// The tag in its quotes.
    pub(super) fn tag(&self) -> &str {
        self.etag.to_str().unwrap_or_default()
    }
}

impl Files {
    /// Reads a registry's folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut files = HashMap::new();
        let mut folders = vec![folder.join("index"), folder.join("crates")];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let url = format!("/{}", path.strip_prefix(folder)?.display());
                let bytes = Bytes::from(fs::read(&path)?);
                let is_index = url.starts_with("/index/");
                files.insert(url, if is_index { File::index(bytes)? } else { File::krate(bytes)? });
            }
        }
        Ok(Self(files))
    }

    /// The file with this path.
    pub(super) fn get(&self, path: &str) -> Option<File> {
        self.0.get(path).cloned().or_else(|| grown(path))
    }

    /// Adds a version to an index file; says how many it has then.
    pub(super) fn publish(&mut self, name: &str) -> Option<usize> {
        let file = self.0.get_mut(&format!("/index/{}", index_path(name)))?;
        let text = std::str::from_utf8(&file.bytes).ok()?;
        let (count, last) = (text.lines().count(), text.lines().last()?);
        let (before, after) = last.split_once("\"vers\":\"")?;
        let (_, rest) = after.split_once('"')?;
        let text = format!("{text}{before}\"vers\":\"1.0.{count}\"{rest}\n");
        *file = File::index(Bytes::from(text)).ok()?;
        Some(count + 1)
    }
}

/// The index file of a crate that exists only as a name.
pub(crate) fn grown_index(name: &str) -> String {
    format!(
        "{{\"name\":\"{name}\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"{}\",\"features\":{{}},\"yanked\":false,\"pubtime\":\"2024-01-02T03:04:05Z\"}}\n",
        hex(&Sha256::digest(name))
    )
}

fn grown(path: &str) -> Option<File> {
    let name = path.strip_prefix("/index/")?.rsplit('/').next()?;
    let is_grown = name.get(4..).is_some_and(|rest| rest.starts_with(GROWN));
    let is_grown = is_grown && path == format!("/index/{}", index_path(name));
    is_grown.then(|| File::index(Bytes::from(grown_index(name))).ok())?
}

fn etag(bytes: &[u8]) -> Result<HeaderValue> {
    let digest = hex(&Sha256::digest(bytes));
    Ok(HeaderValue::try_from(format!("\"{}\"", digest.get(..32).unwrap_or_default()))?)
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_adds_one_line() {
        let first = File::index(Bytes::from(grown_index("serde"))).unwrap();
        let mut files = Files(HashMap::from([("/index/se/rd/serde".to_owned(), first.clone())]));
        assert_eq!(files.publish("serde"), Some(2));
        let second = files.get("/index/se/rd/serde").unwrap();
        assert_ne!(first.etag, second.etag);
        assert!(second.bytes.starts_with(&first.bytes));
        assert!(files.get("/index/ab/cd/abcdgrow1").is_some());
        assert!(files.get("/index/ab/cd/abcdother").is_none());
    }
}
