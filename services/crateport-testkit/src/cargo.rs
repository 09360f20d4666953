//! The real cargo in an environment of its own: an empty `CARGO_HOME`, a project, and nothing of the caller's
//! configuration, proxies or flags.

mod project;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

pub use self::project::Project;
use crate::program::{self, ProgramRun};

/// How long one cargo command may take before it is killed and the test fails.
const DEADLINE: Duration = Duration::from_secs(180);
/// The name of the registry that replaces crates.io in the configuration.
const MIRROR: &str = "mirror";
/// What of the caller's environment cargo still needs: programs, the toolchain, a place for temporary files.
const KEPT_VARIABLES: [&str; 6] =
    ["PATH", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL", "TMPDIR", "LANG", "LC_ALL"];

/// An isolated cargo. Its folders vanish with it.
#[must_use = "cargo does nothing before run()"]
pub struct Cargo {
    home: TempDir,
    work: TempDir,
    config: String,
    variables: Vec<(OsString, OsString)>,
    deadline: Duration,
}

impl Cargo {
    /// An empty home and an empty working folder.
    #[track_caller]
    pub fn new() -> Self {
        let folder = || {
            tempfile::Builder::new()
                .prefix("crateport-cargo-")
                .tempdir()
                .expect("a temporary folder")
        };
        let (config, variables) = (String::new(), Vec::new());
        Self { home: folder(), work: folder(), config, variables, deadline: DEADLINE }
    }

    /// Adds lines to `$CARGO_HOME/config.toml`.
    #[track_caller]
    pub fn config(mut self, lines: &str) -> Self {
        self.config += lines.trim_end();
        self.config += "\n";
        self.write_config();
        self
    }

    /// crates.io is replaced by the registry at this index URL (without `sparse+`, with its slash at the end).
    #[track_caller]
    pub fn replaces_crates_io_with(self, index_url: &str) -> Self {
        self.registry(MIRROR, index_url)
            .config(&format!("[source.crates-io]\nreplace-with = \"{MIRROR}\""))
    }

    /// Another registry beside crates.io.
    #[track_caller]
    pub fn registry(self, name: &str, index_url: &str) -> Self {
        self.config(&format!("[registries.{name}]\nindex = \"sparse+{index_url}\""))
    }

    /// A token for a registry that asks for one.
    #[track_caller]
    pub fn token(self, registry: &str, token: &str) -> Self {
        let name = registry.to_uppercase().replace('-', "_");
        let cargo = self.variable(format!("CARGO_REGISTRIES_{name}_TOKEN"), token);
        cargo.variable("CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS", "cargo:token")
    }

    /// Trusts the authorities in this PEM text, and no others.
    #[track_caller]
    pub fn trusts(self, ca_pem: &str) -> Self {
        let file = self.work.path().join("ca.pem");
        std::fs::write(&file, ca_pem).expect("a writable working folder");
        self.variable("CARGO_HTTP_CAINFO", file)
    }

    /// Retries after spurious errors; cargo's own default is 3, with seconds of sleep between them.
    pub fn retries(self, count: u32) -> Self {
        self.variable("CARGO_NET_RETRY", count.to_string())
    }

    /// Sets an environment variable.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// How long each command may take.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Writes a project into the working folder, over the one that is there.
    #[track_caller]
    pub fn project(self, describe: impl FnOnce(Project) -> Project) -> Self {
        describe(Project::default()).write_into(self.work.path());
        self
    }

    /// Writes `Cargo.lock`.
    #[track_caller]
    pub fn lock(self, text: &str) -> Self {
        std::fs::write(self.work.path().join("Cargo.lock"), text)
            .expect("a writable working folder");
        self
    }

    /// `Cargo.lock` as it stands.
    #[track_caller]
    pub fn read_lock(&self) -> String {
        std::fs::read_to_string(self.work.path().join("Cargo.lock"))
            .expect("a Cargo.lock that cargo wrote")
    }

    /// The same project and configuration with an empty `CARGO_HOME`, as a fresh CI job has it.
    #[track_caller]
    pub fn fresh_home(mut self) -> Self {
        self.home = tempfile::Builder::new()
            .prefix("crateport-cargo-")
            .tempdir()
            .expect("a temporary folder");
        self.write_config();
        self
    }

    /// `$CARGO_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the project is.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// Runs `cargo` with these arguments in the working folder.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn run(&self, arguments: &[&str]) -> ProgramRun {
        let mut command = tokio::process::Command::new(cargo_program());
        command.args(arguments).current_dir(self.work.path()).env_clear();
        command.envs(
            KEPT_VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command.env("HOME", self.work.path()).env("CARGO_HOME", self.home.path());
        command.env("PATH", path()).env("CARGO_TERM_COLOR", "never");
        command.envs(rustup_home().map(|folder| ("RUSTUP_HOME", folder)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        program::run(command, format!("cargo {}", arguments.join(" ")), self.deadline).await
    }

    #[track_caller]
    fn write_config(&self) {
        std::fs::write(self.home.path().join("config.toml"), &self.config)
            .expect("a writable CARGO_HOME");
    }
}

impl Default for Cargo {
    fn default() -> Self {
        Self::new()
    }
}

/// The cargo that runs the tests, else the one on `PATH`.
pub(crate) fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `PATH` with the folder of that cargo first, so that its own rustc is the one it finds.
fn path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = PathBuf::from(cargo_program());
    let folder = program.parent().filter(|folder| folder.is_absolute()).map(Path::to_owned);
    std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&path))).unwrap_or(path)
}

/// Named outright, because `HOME` is not the caller's any more.
fn rustup_home() -> Option<PathBuf> {
    let named = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    named.or_else(|| {
        Some(Path::new(AsRef::<OsStr>::as_ref(&std::env::var_os("HOME")?)).join(".rustup"))
    })
}

#[cfg(test)]
mod tests;
