//! Defaults that depend on the machine, and those that are no setting's own.

use etcetera::BaseStrategy as _;

use super::kind::text::{REPLICA_LENGTH_MAX, is_replica_byte};

/// Where rustup itself gets toolchains when nobody says otherwise.
pub(super) const RUST_DIST: &str = "https://static.rust-lang.org";

/// `fs:` and the user's data directory.
pub(super) fn store() -> Result<String, String> {
    let directories = etcetera::choose_base_strategy()
        .map_err(|_| "no home directory is known here, so say fs:DIRECTORY")?;
    let directory = directories.data_dir().join("crateport");
    let text = directory.to_str().ok_or("the user's data directory is not UTF-8 text")?;
    Ok(format!("fs:{text}"))
}

/// The host's name, without what a header or a label cannot hold.
pub(super) fn replica() -> Result<String, String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let legal = |letter: &char| u8::try_from(*letter).is_ok_and(is_replica_byte);
    let name: String = name.chars().filter(legal).take(REPLICA_LENGTH_MAX).collect();
    Ok(if name.is_empty() { "crateport".to_owned() } else { name })
}
