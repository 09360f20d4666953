//! The measured binary: embedded, or as one replica of a fleet, with its log going to a file as a service's does.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::child::{Child, Cores};
use crate::cpu::Group;
use crate::stand::{Ports, Stand};

/// How it is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// In file names, and its name as a replica.
    pub(crate) name: String,
    /// The TLS port of the upstream or of a link to it.
    pub(crate) upstream: SocketAddr,
    /// Further arguments behind `serve`.
    pub(crate) arguments: Vec<String>,
    /// Further environment, for the S3 credentials.
    pub(crate) variables: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) cores: Cores,
    /// What its files lie in; made empty unless it is there already.
    pub(crate) store: Option<PathBuf>,
}

/// A running Crateport.
pub(crate) struct Crateport {
    child: Child,
    /// Where clients connect.
    pub(crate) ports: Ports,
    /// From the start of the process to its first line that says where it listens.
    pub(crate) started_in: Duration,
}

impl Setup {
    /// Defaults of everything, beside this upstream.
    pub(crate) fn embedded(name: &str, upstream: SocketAddr, cores: Cores) -> Self {
        Self {
            name: name.to_owned(),
            upstream,
            arguments: Vec::new(),
            variables: Vec::new(),
            cores,
            store: None,
        }
    }

    /// A flag and its value.
    pub(crate) fn flag(mut self, flag: &str, value: impl Into<String>) -> Self {
        self.arguments.extend([flag.to_owned(), value.into()]);
        self
    }

    /// An environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it on free ports, with nothing kept unless a store was named; it serves when this returns.
    pub(crate) fn start(&self, stand: &Stand) -> Result<Crateport> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        stand.fresh_folder(&self.name)?;
        self.start_on(stand, &Ports { plain: any, tls: any })
    }

    /// Starts it on these ports, with what it has kept.
    pub(crate) fn start_on(&self, stand: &Stand, ports: &Ports) -> Result<Crateport> {
        let folder = stand.folder(&self.name);
        std::fs::write(folder.join("crateport.toml"), self.configuration(stand))?;
        let tls = format!(
            "{},cert={},key={}",
            ports.tls,
            stand.certificate().display(),
            stand.key().display()
        );
        let store = self.store.clone().unwrap_or_else(|| folder.join("store"));
        let mut command = self.cores.command(&stand.crateport);
        command.arg("serve").arg("--config").arg(folder.join("crateport.toml"));
        command.args(["--listen", &ports.plain.to_string(), "--listen", &tls]);
        command.args(["--ops-listen", "127.0.0.1:0"]);
        if !self.arguments.iter().any(|argument| argument == "--store") {
            command.arg("--store").arg(format!("fs:{}", store.display()));
        }
        command.args(["--replica", &self.name]).args(&self.arguments);
        command.env_clear().env("HOME", &folder).envs(self.variables.iter().cloned());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let log = stand.log(&self.name);
        let start = Instant::now();
        let mut child = Child::start(command, &self.name, &log)?;
        let addresses = addresses(&mut child);
        let started_in = start.elapsed();
        let [plain, tls] = addresses.with_context(|| format!("see {}", log.display()))?;
        Ok(Crateport { child, ports: Ports { plain, tls }, started_in })
    }

    fn configuration(&self, stand: &Stand) -> String {
        let (upstream, authority) = (self.upstream, stand.authority());
        let authority = authority.display();
        format!(
            "upstream-ca-files = [\"{authority}\"]\nupstream-allow = [\"127.0.0.0/8\"]\n\n[registries.crates-io]\nindex = \"sparse+https://{upstream}/index/\"\n"
        )
    }
}

impl Crateport {
    /// Its process.
    pub(crate) fn group(&self) -> Result<Group> {
        self.child.group()
    }

    /// Ends it as a service manager does.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.child.terminate()
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }
}

/// The two listeners, read from its banner.
fn addresses(child: &mut Child) -> Result<[SocketAddr; 2]> {
    let mut lines = BufReader::new(child.take_stdout()?).lines();
    let mut next = || -> Result<SocketAddr> {
        let line = lines.next().context("it ended instead of serving")??;
        let url = line.strip_prefix("listening on ").context("where it listens")?;
        let (_, address) = url.split_once("://").context("an address")?;
        Ok(address.trim_end_matches('/').parse()?)
    };
    Ok([next()?, next()?])
}

/// Its version.
pub(crate) fn version(binary: &Path) -> Result<String> {
    let output = std::process::Command::new(binary).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
