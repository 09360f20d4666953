//! How a Crateport is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::crateport_binary;
use crate::program::{self, ProgramRun};

/// How long a subcommand that ends by itself may take.
const SUBCOMMAND_DEADLINE: Duration = Duration::from_secs(60);
/// What of the caller's environment the binary still needs.
const KEPT_VARIABLES: [&str; 5] =
    ["PATH", "TMPDIR", "RUST_LOG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
/// A free port of the loopback.
const ANY_PORT: &str = "127.0.0.1:0";

/// Settings for [`super::Crateport::start`]; by default one plain listener and a store of its own.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before Crateport::start()"]
pub struct CrateportOptions {
    binary: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    listens: Vec<String>,
    ops_listen: String,
    store: Option<Store>,
    config: String,
    arguments: Vec<String>,
}

#[derive(Debug, Clone)]
enum Store {
    Folder(PathBuf),
    Bucket(String),
}

impl Default for CrateportOptions {
    fn default() -> Self {
        Self {
            binary: None,
            variables: Vec::new(),
            listens: vec![ANY_PORT.to_owned()],
            ops_listen: ANY_PORT.to_owned(),
            store: None,
            config: String::new(),
            arguments: Vec::new(),
        }
    }
}

impl CrateportOptions {
    /// Another binary than the one of this workspace.
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }

    /// Adds `[registries.<id>]` with this index URL (without `sparse+`) to the configuration file.
    pub fn upstream(self, registry: &str, index_url: &str) -> Self {
        self.upstream_with(registry, index_url, "")
    }

    /// The same with more lines in that table.
    pub fn upstream_with(self, registry: &str, index_url: &str, lines: &str) -> Self {
        self.config(&format!("[registries.{registry}]\nindex = \"sparse+{index_url}\"\n{lines}"))
    }

    /// Adds `[dist.<id>]` with this URL to the configuration file.
    pub fn dist(self, id: &str, url: &str) -> Self {
        self.dist_with(id, url, "")
    }

    /// The same with more lines in that table.
    pub fn dist_with(self, id: &str, url: &str, lines: &str) -> Self {
        self.config(&format!("[dist.{id}]\nurl = \"{url}\"\n{lines}"))
    }

    /// Adds lines to the configuration file, in the order of the calls: top-level keys go before tables.
    pub fn config(mut self, lines: &str) -> Self {
        self.config += lines.trim_end();
        self.config += "\n";
        self
    }

    /// One more argument behind `serve`.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A flag and its value.
    pub fn flag(self, flag: &str, value: impl Into<String>) -> Self {
        self.argument(flag).argument(value)
    }

    /// One more listener, as `--listen` takes it.
    pub fn also_listens(mut self, listen: &str) -> Self {
        self.listens.push(listen.to_owned());
        self
    }

    /// An environment variable.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A folder that is there already, or that several replicas share, as the store.
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store = Some(Store::Folder(folder.into()));
        self
    }

    /// A part of a bucket as the store: `s3://BUCKET/PREFIX`.
    pub fn bucket(mut self, url: &str) -> Self {
        self.store = Some(Store::Bucket(url.to_owned()));
        self
    }

    /// Runs a subcommand that ends by itself (`check`, `config --cargo`, `--version`) with an empty
    /// home, exactly these arguments and, if there is configuration, `--config`.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn run(&self, arguments: &[&str]) -> ProgramRun {
        let home =
            tempfile::Builder::new().prefix("crateport-").tempdir().expect("a temporary folder");
        let mut command = self.command(&self.binary_path().await, home.path());
        command.args(arguments).args(self.config_arguments(home.path()));
        let command_line = format!("crateport {}", arguments.join(" "));
        program::run(command, command_line, SUBCOMMAND_DEADLINE).await
    }

    /// The same on a terminal, whose whole screen is what it prints.
    #[must_use = "say whether it succeeds() or fails()"]
    pub async fn run_on_terminal(&self, arguments: &[&str]) -> ProgramRun {
        let home =
            tempfile::Builder::new().prefix("crateport-").tempdir().expect("a temporary folder");
        let mut line = self.binary_path().await.into_os_string();
        for argument in
            arguments.iter().map(OsString::from).chain(self.config_arguments(home.path()))
        {
            line.push(" ");
            line.push(argument);
        }
        let mut command = self.command(Path::new("script"), home.path());
        command.args(["--quiet", "--return", "--command"]).arg(line).arg("/dev/null");
        command.env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        let command_line = format!("crateport {}", arguments.join(" "));
        program::run(command, command_line, SUBCOMMAND_DEADLINE).await
    }

    /// The binary named, or the one of this workspace, built if need be.
    pub(super) async fn binary_path(&self) -> PathBuf {
        match &self.binary {
            Some(binary) => binary.clone(),
            None => {
                let built = tokio::task::spawn_blocking(|| crateport_binary().to_owned()).await;
                built.expect("the build of crateport")
            }
        }
    }

    /// The program in its folder, without the caller's proxies and settings in its environment.
    pub(super) fn command(&self, binary: &Path, folder: &Path) -> Command {
        let kept = |name| Some((name, std::env::var_os(name)?));
        let mut command = Command::new(binary);
        command.current_dir(folder).env_clear().env("HOME", folder);
        command.envs(KEPT_VARIABLES.into_iter().filter_map(kept));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Writes the configuration file, if there is anything to write.
    #[track_caller]
    fn config_arguments(&self, folder: &Path) -> Vec<OsString> {
        if self.config.is_empty() {
            return Vec::new();
        }
        let file = folder.join("crateport.toml");
        std::fs::write(&file, &self.config).expect("a writable folder");
        vec!["--config".into(), file.into()]
    }

    #[track_caller]
    pub(super) fn store_folder(&self, own: &Path) -> PathBuf {
        match &self.store {
            None => own.join("store"),
            Some(Store::Folder(folder)) => folder.clone(),
            Some(Store::Bucket(url)) => panic!("the store is no folder, but {url}"),
        }
    }

    fn store_argument(&self, own: &Path) -> OsString {
        if let Some(Store::Bucket(url)) = &self.store {
            return url.into();
        }
        let mut argument = OsString::from("fs:");
        argument.push(self.store_folder(own));
        argument
    }

    pub(super) fn listeners(&self) -> usize {
        self.listens.len()
    }

    /// The next start takes the ports that the last one got. What stands behind the address in `--listen` (TLS files,
    /// say) stays.
    pub(super) fn keep_ports(&mut self, urls: &[String], ops_url: &str) {
        let address =
            |url: &str| url.split_once("://").map_or(url, |(_, address)| address).to_owned();
        for (listen, url) in self.listens.iter_mut().zip(urls) {
            *listen = listen.replace(ANY_PORT, &address(url));
        }
        self.ops_listen = self.ops_listen.replace(ANY_PORT, &address(ops_url));
    }

    /// Writes the configuration file and gives the command line.
    #[track_caller]
    pub(super) fn command_line(&self, folder: &Path) -> Vec<OsString> {
        let mut line = vec!["serve".into()];
        for listen in &self.listens {
            line.extend(["--listen".into(), listen.into()]);
        }
        line.extend(["--ops-listen".into(), (&self.ops_listen).into()]);
        line.extend(["--store".into(), self.store_argument(folder)]);
        line.extend(self.config_arguments(folder));
        line.extend(self.arguments.iter().map(OsString::from));
        line
    }
}
