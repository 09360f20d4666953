//! The real binary from outside: what it prints, where, and its exit codes.

#![expect(clippy::unwrap_used, reason = "what tests call is as much a test as they are")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run of the binary that no setting of this machine reaches.
struct Run {
    command: Command,
    home: tempfile::TempDir,
}

/// How it ended: exit code, stdout, stderr.
type Ended = (i32, String, String);

fn crateport(arguments: &[&str]) -> Run {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crateport"));
    command.env_clear().env("HOME", home.path()).current_dir(home.path()).args(arguments);
    Run { command, home }
}

impl Run {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn end(mut self) -> Ended {
        let Output { status, stdout, stderr } = self.command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn the_version_is_the_programs_name_and_number() {
    let version = format!("crateport {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(crateport(&["--version"]).end(), (0, version, String::new()));
}

#[test]
fn help_has_examples_and_the_help_of_serve_has_every_setting_under_a_heading() {
    let (code, help, _) = crateport(&["--help"]).end();
    assert!(code == 0 && help.contains("Examples:\n  crateport serve"), "{help}");
    for command in ["serve", "check", "healthcheck", "config"] {
        assert!(help.contains(&format!("\n  {command}")), "{help}");
    }
    let (code, help, _) = crateport(&["serve", "--help"]).end();
    assert_eq!(code, 0);
    for part in ["\nListening:\n", "\nFreshness:\n", "\nUpstream:\n", "CRATEPORT_INDEX_TTL"] {
        assert!(help.contains(part), "{part} {help}");
    }
    assert!(help.contains("--index-ttl <DURATION>") && help.contains("[default: 60s]"), "{help}");
}

#[test]
fn a_command_line_that_cannot_be_used_is_one_sentence_and_exit_code_2() {
    for (arguments, expected) in [
        (
            &["serve", "--index-tll", "1s"][..],
            "`--index-tll` is not known; did you mean --index-ttl?",
        ),
        (
            &["serve", "--index-ttl", "1s", "--index-ttl", "2s"],
            "`--index-ttl <DURATION>` can be given only once; see `crateport --help`",
        ),
        (
            &["config", "--cargo", "--rustup"],
            "`--cargo` and `--rustup` exclude each other; see `crateport --help`",
        ),
        (&["srve"], "there is no command `srve`; did you mean serve?"),
        (&[], "no command is given; see `crateport --help`"),
        (
            &["serve", "--index-ttl", "60"],
            "index-ttl (flag --index-ttl) cannot be `60`: it has no unit; \
             allowed is a duration such as 250ms, 60s, 10m or 1h",
        ),
        (
            &["serve", "--fills-max=-1"],
            "fills-max (flag --fills-max) cannot be `-1`: it is no whole number; \
             allowed is a whole number from 1",
        ),
        (
            &["config", "--config", "/missing.toml"],
            "the configuration file /missing.toml cannot be read: \
             No such file or directory (os error 2)",
        ),
        (
            &["check", "--delivery", "redirect", "--store", "fs:/a"],
            "delivery=redirect cannot be with store=fs:/a, which no client can reach: \
             use delivery=auto or delivery=stream",
        ),
    ] {
        let ended = crateport(arguments).end();
        assert_eq!(ended, (2, String::new(), format!("crateport: {expected}\n")), "{arguments:?}");
    }
}

#[test]
fn a_variable_that_names_no_setting_stops_the_start() {
    let ended = crateport(&["serve"]).env("CRATEPORT_STOER", "fs:/a").end();
    let expected = "crateport: the environment variable CRATEPORT_STOER is no setting; \
                    did you mean CRATEPORT_STORE?\n";
    assert_eq!(ended, (2, String::new(), expected.to_owned()));
}

#[test]
fn config_tells_each_value_and_where_it_comes_from() {
    let run = crateport(&["config", "--index-ttl", "2m"])
        .env("CRATEPORT_WAIT_MAX", "5s")
        .env("CRATEPORT_REGISTRIES_CRATES_IO_TOKEN", "hunter2");
    let directory = run.home().join(".config/crateport");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), "\nabsent-ttl = \"3s\"\n").unwrap();
    let store = format!("fs:{}", run.home().join(".local/share/crateport").display());
    let (code, stdout, stderr) = run.end();
    assert_eq!((code, stderr.as_str()), (0, ""));
    let line = |name: &str| -> Vec<String> {
        let line = stdout.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("index-ttl"), ["index-ttl", "2m", "flag", "--index-ttl"]);
    assert_eq!(line("wait-max")[1..3], ["5s", "environment"]);
    assert_eq!(line("absent-ttl")[1], "3s");
    assert!(line("absent-ttl")[2].ends_with("/crateport/config.toml,"), "{stdout}");
    assert_eq!(line("absent-ttl")[3..], ["line", "2"]);
    assert_eq!(line("store")[1..], [store.as_str(), "default"]);
    assert_eq!(line("registries.crates-io.token")[1], "***");
    assert!(!stdout.contains("hunter2"));
}

#[test]
fn config_prints_the_lines_for_cargo() {
    let lines = |base: &str| {
        format!(
            "[registries.crateport]\nindex = \"sparse+{base}/crates-io/index/\"\n\n\
             [source.crates-io]\nreplace-with = \"crateport\"\n"
        )
    };
    for (flags, base) in [
        (&[][..], "http://127.0.0.1:8080"),
        (&["--listen", "0.0.0.0:8443,cert=c,key=k"], "https://127.0.0.1:8443"),
        (&["--public-url", "https://crates.example.com/rust/"], "https://crates.example.com/rust"),
    ] {
        let arguments = [&["config", "--cargo"], flags].concat();
        assert_eq!(crateport(&arguments).end(), (0, lines(base), String::new()));
    }
    let (code, stdout, stderr) = crateport(&["config", "--cargo", "--listen", "[::1]:0"]).end();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("the port is known only once"), "{stderr}");
}

#[test]
fn config_prints_what_rustup_needs_and_nothing_where_it_is_not_served() {
    let (code, stdout, stderr) = crateport(&["config", "--rustup"]).end();
    assert_eq!((code, stderr.as_str()), (0, ""));
    for line in [
        "export RUSTUP_DIST_SERVER=http://127.0.0.1:8080/rustup\n",
        "export RUSTUP_UPDATE_ROOT=http://127.0.0.1:8080/rustup/rustup\n",
        "curl -fsSL http://127.0.0.1:8080/rustup/rustup-init.sh | sh\n",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    std::fs::write(&file, "[dist.rustup]\nenabled = false\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, stdout, stderr) = crateport(&["config", "--rustup", "--config", file]).end();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("dist.rustup is not enabled"), "{stderr}");
}

#[test]
fn config_into_a_pipe_that_closes_early_is_no_failure() {
    let mut run = crateport(&["config"]);
    let mut child = run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listen "), "{line}");
    assert_eq!(child.wait_with_output().unwrap().stderr, b"");
}

#[test]
fn check_tells_what_is_in_order_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    let (free, ops) = (free_address(), free_address());
    let run = crateport(&["check", "--listen", &free, "--ops-listen", &ops]);
    let (_, stdout, stderr) = run.end();
    assert_eq!(stderr, "");
    for line in [
        "ok       settings  no configuration file; flags, environment and defaults are in order",
        &format!("ok       listen    {free} is free"),
        &format!("ok       listen    {ops} is free"),
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line}\n{stdout}");
    }

    let tls = format!("{taken_address},cert=/missing.pem,key=/missing.key");
    let (code, stdout, _) = crateport(&["check", "--listen", &tls, "--ops-listen", &ops]).end();
    assert_eq!(code, 1, "{stdout}");
    let taken = format!(
        "failed   listen    {taken_address} is taken by another program: stop it or change listen"
    );
    let unreadable =
        format!("failed   tls       for {taken_address}: cannot read the TLS file /missing.pem: ");
    for start in [taken, unreadable] {
        assert!(stdout.lines().any(|line| line.starts_with(&start)), "{start}\n{stdout}");
    }
}

#[test]
fn a_health_check_of_nobody_is_one_line_and_exit_code_1() {
    let address = free_address();
    let (code, out, error) = crateport(&["healthcheck", "--ops-listen", &address]).end();
    assert!(code == 1 && out.is_empty() && error.lines().count() == 1, "{error}");
    assert!(error.contains(&address) && error.contains("not ready"), "{error}");
    for (arguments, expected) in [
        (&["healthcheck", "--ops-listen", "127.0.0.1:0"][..], "port 0"),
        // Docker keeps exit code 2 for itself.
        (&["healthcheck", "--index-ttl", "soon"], "index-ttl"),
    ] {
        let (code, out, error) = crateport(arguments).end();
        assert!(code == 1 && out.is_empty() && error.contains(expected), "{error}");
    }
    let (code, _, error) = crateport(&["healthcheck", "--timeout", "soon"]).end();
    assert!(code == 2 && error.contains("timeout"), "{error}");
}
