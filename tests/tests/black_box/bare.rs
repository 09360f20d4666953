//! The binary as a person starts it: no flags of the tests, a home of its own, what it prints read line by line.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crateport_testkit::process::crateport_binary;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long it may take to say what it has to say.
const SAYING_DEADLINE: Duration = Duration::from_secs(30);

/// A running `crateport serve`, killed with its holder.
pub(crate) struct Bare {
    home: TempDir,
    _child: Child,
    /// What it printed until the lines for cargo were there.
    pub(crate) printed: String,
}

impl Bare {
    /// Starts `crateport serve` with these arguments. With `config`, that text is the user's configuration file.
    pub(crate) async fn serve(arguments: &[&str], config: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = config {
            let folder = home.path().join(".config/crateport");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("config.toml"), text).unwrap();
        }
        let binary = tokio::task::spawn_blocking(crateport_binary).await.unwrap();
        let mut command = Command::new(binary);
        command.arg("serve").args(arguments).env_clear().env("HOME", home.path());
        command.env("XDG_DATA_HOME", home.path().join("data"));
        command.current_dir(home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let mut printed = String::new();
        let read = async {
            while let Some(line) = stdout.next_line().await.unwrap() {
                printed += &line;
                printed += "\n";
                if line.starts_with("replace-with") {
                    return;
                }
            }
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said).await;
            panic!("crateport serve ended after printing\n{printed}{said}");
        };
        tokio::time::timeout(SAYING_DEADLINE, read).await.expect("lines for cargo");
        // What it logs must go somewhere, or it would come to a halt.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        tokio::spawn(async move { while let Ok(Some(_)) = stdout.next_line().await {} });
        Self { home, _child: child, printed }
    }

    /// The printed lines from the first table on: what a person pastes.
    pub(crate) fn cargo_lines(&self) -> &str {
        &self.printed[self.printed.find("[registries.").expect("a table of registries")..]
    }

    /// Its `$XDG_DATA_HOME`.
    pub(crate) fn data_home(&self) -> std::path::PathBuf {
        self.home().join("data")
    }

    /// Its `$HOME`.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}
