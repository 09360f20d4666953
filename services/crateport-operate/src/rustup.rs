//! The files of rustup itself: what installers take, and what it updates itself to.

use crateport_types::{DistId, DistPath, Resource};
use serde::Deserialize;

use crate::warm::read_again;
use crate::{Cold, Place, Wanted};

/// The newest rustup, for some machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustup {
    /// From where.
    pub dist: DistId,
    /// The machines that it runs on, as in `x86_64-unknown-linux-gnu`.
    pub hosts: Vec<String>,
}

#[derive(Deserialize)]
struct Release {
    version: String,
}

/// Tells which is the newest.
const RELEASE: &str = "rustup/release-stable.toml";
/// Many times as large as it is.
const RELEASE_BYTES_MAX: usize = 64 << 10;

impl Rustup {
    /// Everything that an installer and `rustup self update` would ask for, once that is fetched which tells the
    /// version.
    ///
    /// # Errors
    ///
    /// When nothing tells the version, or a machine has a name that no file can have.
    pub async fn files(&self, place: &dyn Place) -> Result<Vec<Wanted>, Cold> {
        let release = self.wanted(RELEASE)?;
        let bytes = read_again(place, &release, RELEASE_BYTES_MAX).await?;
        let text = std::str::from_utf8(&bytes).map_err(|error| Cold::for_good(&error))?;
        let Release { version } = toml::from_str(text).map_err(|error| Cold::for_good(&error))?;
        let mut files = vec![release];
        for host in &self.hosts {
            let program = program(host);
            // Whoever wants a file that changes asks for its checksum first.
            files.push(self.wanted(&format!("rustup/dist/{host}/{program}.sha256"))?);
            files.push(self.wanted(&format!("rustup/dist/{host}/{program}"))?);
            files.push(self.wanted(&format!("rustup/archive/{version}/{host}/{program}"))?);
        }
        Ok(files)
    }

    fn wanted(&self, path: &str) -> Result<Wanted, Cold> {
        let path = path.parse::<DistPath>().map_err(|error| Cold::for_good(&error))?;
        let resource = Resource::Dist(path);
        Ok(Wanted { origin: self.dist.to_string(), resource, checksum: None })
    }
}

/// What the program is called on a machine.
fn program(host: &str) -> &'static str {
    if host.contains("-windows-") { "rustup-init.exe" } else { "rustup-init" }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::{OperateError, Warmth};

    /// Has one text and nothing else.
    struct Says(&'static str);

    #[async_trait]
    impl Place for Says {
        async fn warm(&self, _wanted: &Wanted) -> Result<Warmth, Cold> {
            Ok(Warmth::Present)
        }

        async fn read(&self, _wanted: &Wanted, _size_bytes_max: usize) -> Result<Bytes, Cold> {
            Ok(Bytes::from_static(self.0.as_bytes()))
        }

        async fn settle(&self, _wanted: &[Wanted]) -> Result<Vec<(Wanted, Cold)>, OperateError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn rustup_itself_is_what_installers_and_updates_ask_for() {
        let hosts = ["x86_64-unknown-linux-musl", "x86_64-pc-windows-msvc"].map(str::to_owned);
        let rustup = Rustup { dist: DistId::rustup(), hosts: hosts.into() };
        let place = Says("schema-version = '1'\nversion = '1.29.0'\n");
        let files = rustup.files(&place).await.unwrap();
        let paths = files.iter().map(Wanted::to_string).collect::<Vec<_>>();
        assert_eq!(
            paths,
            [
                "rustup rustup/release-stable.toml",
                "rustup rustup/dist/x86_64-unknown-linux-musl/rustup-init.sha256",
                "rustup rustup/dist/x86_64-unknown-linux-musl/rustup-init",
                "rustup rustup/archive/1.29.0/x86_64-unknown-linux-musl/rustup-init",
                "rustup rustup/dist/x86_64-pc-windows-msvc/rustup-init.exe.sha256",
                "rustup rustup/dist/x86_64-pc-windows-msvc/rustup-init.exe",
                "rustup rustup/archive/1.29.0/x86_64-pc-windows-msvc/rustup-init.exe",
            ]
        );
        assert!(rustup.files(&Says("<html>")).await.is_err());
        let odd = Rustup { hosts: vec!["../x".to_owned()], ..rustup };
        assert!(odd.files(&place).await.is_err());
    }
}
