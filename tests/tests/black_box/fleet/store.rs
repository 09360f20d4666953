//! Looks at the bucket from outside: every object that is visible must be right, and nothing may be left over.

use std::collections::BTreeMap;

use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{S3Server, ScriptedUpstream};
use serde_json::Value;

use super::PREFIX;
use crate::house::{CRATES_IO, until_none};

/// Waits until the bucket has nothing but what `upstream` has, and no uploads that nobody ended.
pub(crate) async fn bucket_is_right(s3: &S3Server, upstream: &ScriptedUpstream) {
    until_none(async || {
        let leftovers = s3.leftover_uploads();
        let left = (!leftovers.is_empty()).then(|| format!("left over: {leftovers:?}"));
        wrong_object(s3, upstream).or(left)
    })
    .await;
}

/// The keys of the crates that are visible.
pub(crate) fn stored_crates(s3: &S3Server) -> Vec<String> {
    let area = format!("{PREFIX}/v1/{CRATES_IO}/crates/");
    s3.keys().into_iter().filter(|key| key.starts_with(&area)).collect()
}

/// What is wrong with the crates that are visible, if anything is.
pub(crate) fn wrong_crate(s3: &S3Server, upstream: &ScriptedUpstream) -> Option<String> {
    stored_crates(s3).into_iter().find_map(|key| {
        let mut parts = key.rsplit('/');
        let (file, name) = (parts.next()?, parts.next()?);
        let wanted = checksums(upstream, name).remove(file);
        let found = sha256_hex(&s3.object(&key)?.bytes);
        (wanted.as_ref() != Some(&found)).then(|| format!("{key} is {found}, not {wanted:?}"))
    })
}

fn wrong_object(s3: &S3Server, upstream: &ScriptedUpstream) -> Option<String> {
    let area = format!("{PREFIX}/v1/{CRATES_IO}/index/");
    let mut index_files = s3.keys().into_iter().filter(|key| key.starts_with(&area));
    let wrong_index = index_files.find(|key| {
        let name = key.rsplit('/').next().unwrap_or_default();
        let found = s3.object(key).map(|object| object.bytes);
        name != "config.json" && found.is_some_and(|bytes| bytes != upstream.index_bytes(name))
    });
    let wrong_index = wrong_index.map(|key| format!("{key} is not upstream's"));
    wrong_index.or_else(|| wrong_crate(s3, upstream))
}

/// By the name of the file in the bucket.
fn checksums(upstream: &ScriptedUpstream, name: &str) -> BTreeMap<String, String> {
    let text = upstream.index_bytes(name);
    let text = String::from_utf8_lossy(&text).into_owned();
    let word = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line"));
    lines
        .map(|line| (format!("{name}-{}.crate", word(&line, "vers")), word(&line, "cksum")))
        .collect()
}
