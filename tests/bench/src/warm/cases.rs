//! The sorts of warm answers, and how each server is asked for them.

use serde::{Deserialize, Serialize};

use crate::registry::{VERSION, WARM_CRATE_BYTES, WARM_INDEX_BYTES, index_path};

/// A sort of answer. The numbers are positions in the tables of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Case {
    /// An index file as it is.
    Index(usize),
    /// An index file to a client that takes gzip, as cargo does.
    IndexGzip(usize),
    /// The client has the file.
    NotModified,
    /// `config.json`.
    Config,
    /// A crate that does not exist.
    Absent,
    /// A crate, its bytes in the answer.
    Crate(usize),
    /// A crate, by redirect to the store.
    Redirect,
}

/// A name that nobody has published.
const ABSENT: &str = "warm-absent";

impl Case {
    /// All, in the order of the page.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for size in 0..WARM_INDEX_BYTES.len() {
            all.extend([Self::Index(size), Self::IndexGzip(size)]);
        }
        all.extend([Self::NotModified, Self::Config, Self::Absent]);
        all.extend((0..WARM_CRATE_BYTES.len()).map(Self::Crate));
        all.push(Self::Redirect);
        all
    }

    /// Its name on the page.
    pub(crate) fn name(self) -> String {
        let size = |bytes: usize| match bytes {
            1_000_000.. => format!("{} MB", bytes / 1_000_000),
            _ => format!("{} KB", bytes / 1_000),
        };
        let index = |at: usize| WARM_INDEX_BYTES.get(at).map_or(0, |(_, bytes)| *bytes);
        let krate = |at: usize| WARM_CRATE_BYTES.get(at).map_or(0, |(_, bytes)| *bytes);
        match self {
            Self::Index(at) => format!("index file {}", size(index(at))),
            Self::IndexGzip(at) => format!("index file {}, gzip", size(index(at))),
            Self::NotModified => "304".to_owned(),
            Self::Config => "config.json".to_owned(),
            Self::Absent => "absent name".to_owned(),
            Self::Crate(at) => format!("crate {}, streamed", size(krate(at))),
            Self::Redirect => "crate, redirected".to_owned(),
        }
    }

    /// The path below a server's index or crates.
    pub(super) fn path(self, index: &str, crates: &str) -> String {
        let of_index = |name: &str| format!("{index}/{}", index_path(name));
        let of_crate = |name: &str| format!("{crates}/{name}/{VERSION}/download");
        let index_name = |at: usize| WARM_INDEX_BYTES.get(at).map_or(ABSENT, |(name, _)| *name);
        let crate_name = |at: usize| WARM_CRATE_BYTES.get(at).map_or(ABSENT, |(name, _)| *name);
        match self {
            Self::Index(at) | Self::IndexGzip(at) => of_index(index_name(at)),
            Self::NotModified => of_index(index_name(0)),
            Self::Config => format!("{index}/config.json"),
            Self::Absent => of_index(ABSENT),
            Self::Crate(at) => of_crate(crate_name(at)),
            Self::Redirect => of_crate(crate_name(1)),
        }
    }

    /// What cargo says beside the path.
    pub(super) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::IndexGzip(_) => &[("accept-encoding", "deflate, gzip")],
            _ => &[],
        }
    }

    /// The status it must have.
    pub(super) fn statuses(self) -> &'static [u16] {
        match self {
            Self::NotModified => &[304],
            Self::Absent => &[404],
            Self::Redirect => &[302, 307],
            _ => &[200],
        }
    }
}
