//! The real rustup in an environment of its own: an empty `CARGO_HOME` and `RUSTUP_HOME`, and nothing of the caller's
//! configuration, proxies or toolchains.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{self, ProgramRun};

/// How long one rustup command may take before it is killed and the test fails.
const DEADLINE: Duration = Duration::from_secs(180);
/// What of the caller's environment rustup still needs.
const KEPT_VARIABLES: [&str; 3] = ["TMPDIR", "LANG", "LC_ALL"];
/// Names a rustup that is there already.
const OVERRIDE: &str = "RUSTUP_BIN";

/// An isolated rustup. Its folders vanish with it.
#[must_use = "rustup does nothing before run()"]
pub struct Rustup {
    home: TempDir,
    base: String,
    variables: Vec<(OsString, OsString)>,
}

impl Rustup {
    /// An empty home, whose rustup gets everything from the Crateport at this base.
    #[track_caller]
    pub fn of(base: &str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("crateport-rustup-")
            .tempdir()
            .expect("a temporary folder");
        Self { home, base: base.to_owned(), variables: Vec::new() }
    }

    /// From now on it asks another Crateport, and keeps what it has.
    pub fn now_of(mut self, base: &str) -> Self {
        base.clone_into(&mut self.base);
        self
    }

    /// Trusts the authorities in this PEM text.
    #[track_caller]
    pub fn trusts(self, ca_pem: &str) -> Self {
        let file = self.home.path().join("ca.pem");
        std::fs::write(&file, ca_pem).expect("a writable home");
        self.variable("SSL_CERT_FILE", file)
    }

    /// Sets an environment variable.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Installs rustup itself, and no toolchain.
    pub async fn installed(self) -> Self {
        self.init(&["-y", "--no-modify-path", "--default-toolchain", "none"]).await.succeeds();
        self
    }

    /// Runs `rustup-init`.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn init(&self, arguments: &[&str]) -> ProgramRun {
        let program = self.home.path().join("rustup-init");
        if !program.exists() {
            std::fs::copy(rustup_binary(), &program).expect("a copy of rustup");
        }
        self.run_program(&program, "rustup-init", arguments).await
    }

    /// Runs `rustup` with these arguments.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn run(&self, arguments: &[&str]) -> ProgramRun {
        self.run_program(&self.cargo_home().join("bin/rustup"), "rustup", arguments).await
    }

    /// Runs a shell's command line with this rustup's environment, but without its two variables.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn shell(&self, line: &str) -> ProgramRun {
        let mut command = self.command(Path::new("/bin/sh"));
        command.env_remove("RUSTUP_DIST_SERVER").env_remove("RUSTUP_UPDATE_ROOT");
        command.args(["-c", line]);
        program::run(command, format!("sh -c {line:?}"), DEADLINE).await
    }

    /// What a program of a toolchain prints.
    pub async fn prints(&self, toolchain: &str, program: &str) -> String {
        let run = self.run(&["run", toolchain, program, "--version"]).await.succeeds();
        run.stdout.trim().to_owned()
    }

    /// `$CARGO_HOME`.
    pub fn cargo_home(&self) -> PathBuf {
        self.home.path().join("cargo")
    }

    /// `$RUSTUP_HOME`.
    pub fn rustup_home(&self) -> PathBuf {
        self.home.path().join("rustup")
    }

    /// `$HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    async fn run_program(&self, path: &Path, name: &str, arguments: &[&str]) -> ProgramRun {
        let mut command = self.command(path);
        command.args(arguments);
        program::run(command, format!("{name} {}", arguments.join(" ")), DEADLINE).await
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env_clear();
        command.envs(
            KEPT_VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command.env("HOME", self.home.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("CARGO_HOME", self.cargo_home()).env("RUSTUP_HOME", self.rustup_home());
        command.env("RUSTUP_INIT_SKIP_PATH_CHECK", "yes").env("RUSTUP_TERM_COLOR", "never");
        command.env("RUSTUP_DIST_SERVER", format!("{}/rustup", self.base));
        command.env("RUSTUP_UPDATE_ROOT", format!("{}/rustup/rustup", self.base));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The rustup named by `RUSTUP_BIN`, else the one on `PATH` or in `$CARGO_HOME/bin`. The test fails without one.
#[track_caller]
pub fn rustup_binary() -> PathBuf {
    let named = std::env::var_os(OVERRIDE).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = cargo_home.map(|home| home.join("bin")).into_iter();
    let mut found = folders.chain(std::env::split_paths(&path)).map(|it| it.join("rustup"));
    named
        .or_else(|| found.find(|program| program.is_file()))
        .unwrap_or_else(|| panic!("these tests need rustup (https://rustup.rs) on PATH"))
}

/// The bytes of that rustup.
#[track_caller]
pub fn rustup_bytes() -> Bytes {
    std::fs::read(rustup_binary()).expect("a readable rustup").into()
}

/// The version of that rustup.
#[track_caller]
pub fn rustup_version() -> String {
    let output = std::process::Command::new(rustup_binary()).arg("--version").output();
    let output = output.expect("a rustup that runs").stdout;
    let text = String::from_utf8_lossy(&output);
    text.split(' ').nth(1).unwrap_or_else(|| panic!("no version in {text}")).to_owned()
}
