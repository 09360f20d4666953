//! Where the `crateport` binary is: built once per test process, with the profile of the tests, into their target
//! folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Names a binary that is there already.
const OVERRIDE: &str = "CRATEPORT_BIN";
const PACKAGE: &str = "crateport";

/// The binary: `CRATEPORT_BIN` if set, else the one of this workspace, built if it is not up to date. Blocks meanwhile.
#[track_caller]
pub fn crateport_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os(OVERRIDE).map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let mut command = Command::new(crate::cargo::cargo_program());
    command.args([
        "build",
        "--package",
        PACKAGE,
        "--bin",
        PACKAGE,
        "--message-format",
        "json-render-diagnostics",
    ]);
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    // What cargo told the tests about their own package is not meant for the build of another.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CARGO_BIN_")
        {
            command.env_remove(&name);
        }
    }
    if let Some((target_folder, profile)) = std::env::current_exe().ok().as_deref().and_then(layout)
    {
        command.arg("--target-dir").arg(target_folder).args(["--profile", &profile]);
    }
    let output = command.output().unwrap_or_else(|error| panic!("cannot start cargo: {error}"));
    assert!(output.status.success(), "cargo build --package {PACKAGE}: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(executable);
    executable.unwrap_or_else(|| panic!("cargo built no binary named {PACKAGE}"))
}

/// The target folder and the profile of a test binary, `<target>/<profile's folder>/deps/<test>-<hash>`.
fn layout(test: &Path) -> Option<(PathBuf, String)> {
    let deps = test.parent().filter(|folder| folder.ends_with("deps"))?;
    let profile_folder = deps.parent()?;
    let profile = match profile_folder.file_name()?.to_str()? {
        "debug" => "dev",
        named => named,
    };
    Some((profile_folder.parent()?.to_owned(), profile.to_owned()))
}

fn executable(message: &str) -> Option<PathBuf> {
    let message = serde_json::from_str::<Value>(message).ok()?;
    let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == PACKAGE;
    message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_read_off_the_test_binary() {
        let found = |path: &str| layout(Path::new(path));
        let some = |folder: &str, profile: &str| Some((PathBuf::from(folder), profile.to_owned()));
        assert_eq!(found("/t/debug/deps/x-1"), some("/t", "dev"));
        assert_eq!(found("/t/release/deps/x-1"), some("/t", "release"));
        assert_eq!(found("/t/fast/deps/x-1"), some("/t", "fast"));
        assert_eq!(found("/tmp/x"), None);
    }

    #[test]
    fn the_executable_is_read_off_cargos_messages() {
        let ours = r#"{"reason":"compiler-artifact","target":{"name":"crateport"},"executable":"/t/debug/crateport"}"#;
        assert_eq!(executable(ours), Some(PathBuf::from("/t/debug/crateport")));
        assert_eq!(executable(&ours.replace("\"crateport\"", "\"other\"")), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
