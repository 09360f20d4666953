//! A synthetic registry: crates with the sizes, the depth and the index files that crates.io has, the same bytes in
//! every run. It lies in a folder, from which the upstream serves it.

pub(crate) mod graph;
mod random;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use crateport_testkit::krate::{Krate, krate};
use serde::{Deserialize, Serialize};

pub(crate) use self::random::Random;
pub(crate) use self::write::index_path;
use self::write::{Writer, lines_up_to};

/// Changes whenever the bytes would: a folder of another edition is made anew.
const EDITION: &str = "2";
const MARK: &str = "edition";

/// Sizes of the index files whose warm answers are measured.
pub(crate) const WARM_INDEX_BYTES: [(&str, usize); 3] =
    [("warm-index-5k", 5_000), ("warm-index-100k", 100_000), ("warm-index-1m", 1_000_000)];
/// Sizes of the crates whose warm answers are measured.
pub(crate) const WARM_CRATE_BYTES: [(&str, usize); 3] =
    [("warm-crate-10k", 10_000), ("warm-crate-500k", 500_000), ("warm-crate-10m", 10_000_000)];
/// The one crate of a stampede.
pub(crate) const STAMPEDE_CRATE: (&str, usize) = ("stampede", 2_000_000);
/// Each of the many crates of the other one.
pub(crate) const STAMPEDE_MANY: (&str, usize) = ("many", 100_000);
/// How many those are.
pub(crate) const STAMPEDE_COUNT: usize = 300;
/// As a crate of middling size has them.
const FEATURES: [&str; 14] = [
    "alloc",
    "std",
    "derive",
    "rc",
    "unstable",
    "default",
    "full",
    "macros",
    "net",
    "sync",
    "time",
    "io-util",
    "rt-multi-thread",
    "test-util",
];
/// The version that every crate which can be downloaded has.
pub(crate) const VERSION: &str = "1.0.0";

/// Where a registry lies, and what a project needs to use it.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    folder: PathBuf,
}

/// A project with its lock file, and what fetching it means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Project {
    /// Packages in its lock file, without itself.
    pub(crate) packages: usize,
    /// Sum of their index files as they are.
    pub(crate) index_bytes: u64,
    /// Sum of their index files, gzip'd.
    pub(crate) index_gzip_bytes: u64,
    /// Sum of their crates.
    pub(crate) crate_bytes: u64,
    /// How many rounds of questions a resolver needs.
    pub(crate) depth: usize,
}

impl Registry {
    /// The registry below this folder, made now unless it is there.
    pub(crate) fn prepare(folder: &Path) -> Result<Self> {
        let registry = Self { folder: folder.to_owned() };
        let mark = folder.join(MARK);
        if fs::read_to_string(&mark).is_ok_and(|edition| edition == EDITION) {
            return Ok(registry);
        }
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let writer = Writer::new(folder);
        for (name, size) in WARM_INDEX_BYTES {
            let published = with_features(krate(name, VERSION)).build();
            writer.index(name, &lines_up_to(&published, size))?;
            writer.krate(&published)?;
        }
        for (name, size) in WARM_CRATE_BYTES.into_iter().chain([STAMPEDE_CRATE]) {
            writer.publish(&krate(name, VERSION).payload(size).build())?;
        }
        for number in 0..STAMPEDE_COUNT {
            let name = many(number);
            writer.publish(&krate(&name, VERSION).payload(STAMPEDE_MANY.1).build())?;
        }
        graph::write(&writer)?;
        fs::write(mark, EDITION)?;
        Ok(registry)
    }

    /// Where the upstream finds it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the project whose lock file has about so many packages.
    pub(crate) fn project_folder(&self, packages: usize) -> PathBuf {
        self.folder.join(format!("project-{packages}"))
    }

    /// What is known of that project.
    pub(crate) fn project(&self, packages: usize) -> Result<Project> {
        let text = fs::read(self.project_folder(packages).join(graph::ABOUT))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Makes a crate's line in its index file as long as usual ones are.
fn with_features(krate: Krate) -> Krate {
    FEATURES.iter().fold(krate, |krate, feature| krate.feature(feature, &["alloc"]))
}

/// The name of one of the many crates of a stampede.
pub(crate) fn many(number: usize) -> String {
    format!("{}-{number:03}", STAMPEDE_MANY.0)
}
