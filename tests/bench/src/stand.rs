//! The stand on which everything is measured: its folders, its certificates, its processors, the programs it needs.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use crateport_testkit::TestCa;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::child::{Cores, Part};
use crate::registry::Registry;

/// Below this folder of the target folder lies everything that a run leaves.
const FOLDER: &str = "bench";

/// The stand.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    folder: PathBuf,
    /// The release binary that is measured.
    pub(crate) crateport: PathBuf,
    /// The registry that the upstream serves.
    pub(crate) registry: Registry,
}

/// Two ports of one server.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    /// Without TLS.
    pub(crate) plain: SocketAddr,
    /// With TLS.
    pub(crate) tls: SocketAddr,
}

impl Stand {
    /// Sets it up below the target folder.
    pub(crate) fn set_up(target: &Path, crateport: &Path) -> Result<Self> {
        let folder = target.join(FOLDER);
        let run = folder.join("run");
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        fs::create_dir_all(&run)?;
        ensure!(crateport.is_file(), "there is no {}", crateport.display());
        let ca = TestCa::new();
        fs::write(folder.join("ca.pem"), ca.pem())?;
        ca.issue().write_into(&folder, "server");
        let registry = Registry::prepare(&folder.join("registry"))?;
        let folder = fs::canonicalize(folder)?;
        Ok(Self { folder, crateport: fs::canonicalize(crateport)?, registry })
    }

    /// The authority that clients trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The servers' certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// Its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// The file for what a process says.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("run").join(format!("{name}.log"))
    }

    /// The folder for a server's files.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join("run").join(name)
    }

    /// The same, empty.
    pub(crate) fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Starts one of this program's own servers.
    pub(crate) fn server(
        &self,
        name: &str,
        more: &[String],
        cores: Cores,
    ) -> Result<(Part, Ports)> {
        let file = |path: PathBuf| path.display().to_string();
        let mut arguments = vec!["--certificate".to_owned(), file(self.certificate())];
        arguments.extend(["--key".to_owned(), file(self.key())]);
        arguments.extend_from_slice(more);
        let part = Part::start(name, &arguments, cores, &self.log(name))?;
        let ports = Ports { plain: part.said("plain")?.parse()?, tls: part.said("tls")?.parse()? };
        Ok((part, ports))
    }

    /// Starts the upstream.
    pub(crate) fn upstream(&self, cores: Cores) -> Result<(Part, Ports)> {
        let folder = self.registry.folder().display().to_string();
        self.server("upstream", &["--folder".to_owned(), folder], cores)
    }

    /// A folder that later runs find again.
    pub(crate) fn kept_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Binds this process, which is the client, to its processor; the server has another one.
pub(crate) fn take_client_core() -> Result<()> {
    ensure!(
        processors()? >= 2,
        "the benchmark needs two processors: one for the server, one for the clients"
    );
    bind(1..2)
}

/// Asks the kernel for a larger share of a machine that others use, too: that of the whole session, which `run` has made
/// for it. Measuring goes on without.
pub(crate) fn take_priority() {
    let _ = fs::write("/proc/self/autogroup", "-10");
}

/// Lets this process run anywhere.
pub(crate) fn take_all_cores() -> Result<()> {
    bind(0..processors()?)
}

fn processors() -> Result<usize> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    Ok(text.lines().filter(|line| line.starts_with("processor")).count())
}

fn bind(cores: Range<usize>) -> Result<()> {
    let mut set = CpuSet::new();
    cores.for_each(|core| set.set(core));
    sched_setaffinity(None::<Pid>, &set).context("binding to a processor")
}
