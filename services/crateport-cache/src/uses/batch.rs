//! Batches of uses as they lie in the store: gzip'd lines of JSON, the first of them the head.
//!
//! ```text
//! {"v":1,"replica":"a","grace_s":3600,"merged":[]}
//! {"k":"crates-io/crates/serde/serde-1.0.0.crate","n":3,"f":1767225600,"l":1767225900,"a":"10.0.0.7","u":"cargo 1.95.0"}
//! ```
//!
//! `k` is the object, `n` how often, `f` and `l` the first and the last time (seconds since 1970), `a`, `u` and `t` the
//! client's address, its user agent and the name of its token. One line stands for all uses of one object by one
//! client since the batch before. `n` is 0 where it was only held for a client that another line tells of. `r` is the
//! replica where it is not the head's. Unknown fields are passed over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::IpAddr;

use bytes::Bytes;
use crateport_types::StoreKey;
use flate2::Compression;
use serde::{Deserialize, Serialize};

/// The head of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHead {
    /// The version of the format.
    pub v: u32,
    /// Who served.
    pub replica: String,
    /// The grace that this replica counts on when it sends clients to the store, in seconds.
    pub grace_s: u64,
    /// The batches that were taken into this one: whoever has read it passes them over.
    #[serde(default)]
    pub merged: Vec<String>,
}

/// The uses of one object by one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseLine {
    /// The object's key without the layout's version.
    #[serde(rename = "k")]
    pub object: Box<str>,
    /// How often.
    #[serde(rename = "n")]
    pub count: u64,
    /// The first time, in seconds since 1970.
    #[serde(rename = "f")]
    pub first_s: u64,
    /// The last time, in seconds since 1970.
    #[serde(rename = "l")]
    pub last_s: u64,
    /// Who served, where it is not whom the head names.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<Box<str>>,
    /// Who.
    #[serde(flatten)]
    pub client: Client,
}

/// Who used an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Client {
    /// From where.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// With what.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Box<str>>,
    /// With whose token.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub token_name: Option<Box<str>>,
}

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBatch {
    /// Cut, or not gzip.
    #[error("it cannot be unpacked")]
    Packing(#[source] std::io::Error),
    /// A line that is none of ours.
    #[error("line {line} cannot be read")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A newer release wrote it.
    #[error("it is of version {0}, which is newer than this program")]
    Newer(u32),
}

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
const PREFIX: &str = "v1/";
/// No line is longer: keys, user agents and names have limits.
const LINE_BYTES_MAX: u64 = 16 << 10;

impl UseLine {
    /// What names an object in a line.
    #[must_use]
    pub fn name_of(key: &StoreKey) -> &str {
        key.as_str().strip_prefix(PREFIX).unwrap_or(key.as_str())
    }

    /// The object's key.
    #[must_use]
    pub fn key(&self) -> Option<StoreKey> {
        StoreKey::listed(&format!("{PREFIX}{}", self.object))
    }
}

impl BatchHead {
    /// The head of a new batch.
    #[must_use]
    pub fn new(replica: &str, grace_s: u64) -> Self {
        Self { v: VERSION, replica: replica.to_owned(), grace_s, merged: Vec::new() }
    }
}

/// Packs a batch.
#[derive(Debug)]
pub struct BatchWriter(flate2::write::GzEncoder<Vec<u8>>);

impl BatchWriter {
    /// Begins with the head. Writing into memory cannot fail.
    #[must_use]
    pub fn new(head: &BatchHead) -> Self {
        let mut writer = Self(flate2::write::GzEncoder::new(Vec::new(), Compression::default()));
        writer.write(head);
        writer
    }

    /// Adds a line.
    pub fn line(&mut self, line: &UseLine) {
        self.write(line);
    }

    /// The batch.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.0.finish().unwrap_or_default().into()
    }

    fn write(&mut self, line: &impl Serialize) {
        // Structs of texts and numbers always serialize.
        let text = serde_json::to_vec(line).unwrap_or_default();
        let _ = self.0.write_all(&text).and_then(|()| self.0.write_all(b"\n"));
    }
}

/// Reads a batch line by line, so that a large one is never in memory unpacked.
///
/// # Errors
///
/// When it is damaged or newer than this program. Lines before the damage have been handed over.
pub fn read_batch(
    bytes: &[u8],
    mut head: impl FnMut(BatchHead),
    mut line: impl FnMut(UseLine),
) -> Result<(), InvalidBatch> {
    let mut reader = BufReader::new(flate2::read::MultiGzDecoder::new(bytes));
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        let invalid = |source| InvalidBatch::Line { line: number, source };
        match (read.map_err(InvalidBatch::Packing)?, number) {
            (0, 1) => return Err(InvalidBatch::Packing(std::io::ErrorKind::UnexpectedEof.into())),
            (0, _) => break,
            (_, 1) => {
                let read: BatchHead = serde_json::from_slice(&text).map_err(invalid)?;
                if read.v > VERSION {
                    return Err(InvalidBatch::Newer(read.v));
                }
                head(read);
            }
            _ => line(serde_json::from_slice(&text).map_err(invalid)?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> UseLine {
        let client = Client {
            address: Some("10.0.0.7".parse().unwrap()),
            user_agent: Some("cargo 1.95.0".into()),
            token_name: None,
        };
        let object = format!("crates-io/crates/a/a-1.0.{number}.crate").into();
        UseLine { object, count: number, first_s: 1, last_s: 2, replica: None, client }
    }

    fn read(bytes: &[u8]) -> Result<(BatchHead, Vec<UseLine>), InvalidBatch> {
        let (mut head, mut lines) = (None, Vec::new());
        read_batch(bytes, |read| head = Some(read), |line| lines.push(line))?;
        Ok((head.unwrap(), lines))
    }

    #[test]
    fn a_batch_reads_as_it_was_written_and_a_cut_one_is_told() {
        let head = BatchHead::new("replica-7", 60);
        let mut writer = BatchWriter::new(&head);
        (0..500).for_each(|number| writer.line(&line(number)));
        let bytes = writer.finish();
        let (read_head, lines) = read(&bytes).unwrap();
        assert_eq!((read_head, lines.len()), (head, 500));
        assert_eq!(lines[3], line(3));
        assert_eq!(lines[3].key().unwrap().as_str(), "v1/crates-io/crates/a/a-1.0.3.crate");
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(read(&bytes[..cut]), Err(InvalidBatch::Packing(_))), "{cut}");
        }
        let newer = BatchWriter::new(&BatchHead { v: 2, ..BatchHead::new("a", 1) }).finish();
        assert!(matches!(read(&newer), Err(InvalidBatch::Newer(2))));
    }
}
