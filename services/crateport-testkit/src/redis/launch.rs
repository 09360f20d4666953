//! From options to a redis-server that answers.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{RedisOptions, Server};

/// How long it may take until it listens.
const READY_DEADLINE: Duration = Duration::from_secs(20);
const READY_POLL: Duration = Duration::from_millis(5);
/// Another program may take the port between the look and the start.
const STARTS_MAX: usize = 10;
/// Below the ports that the kernel hands out, so that no connection takes the port of a server that is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

pub(super) fn first(options: &RedisOptions) -> Server {
    let mut said = String::new();
    for _ in 0..STARTS_MAX {
        let server = Server {
            options: options.clone(),
            folder: tempfile::Builder::new()
                .prefix("crateport-redis-")
                .tempdir()
                .expect("a temporary folder"),
            port: free_port(),
            child: Mutex::new(None),
        };
        match start(&server) {
            Ok(()) => return server,
            Err(log) => said = log,
        }
    }
    panic!("redis-server does not start:\n{said}");
}

pub(super) fn again(server: &Server) {
    if let Err(log) = start(server) {
        panic!("redis-server does not start again:\n{log}");
    }
}

fn start(server: &Server) -> Result<(), String> {
    let folder = server.folder.path();
    for (name, text) in &server.options.files {
        std::fs::write(folder.join(name), text).expect("a writable folder");
    }
    let mut command = Command::new("redis-server");
    command.current_dir(folder).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]);
    if server.options.is_encrypted {
        command.args(["--port", "0", "--tls-port", &server.port.to_string()]);
        command.args(["--tls-cert-file", "server.crt", "--tls-key-file", "server.key"]);
        command.args(["--tls-ca-cert-file", "ca.crt", "--tls-auth-clients", "no"]);
    } else {
        command.args(["--port", &server.port.to_string()]);
    }
    command.args(&server.options.arguments);
    let child = spawn(command, &server.log_file());
    *server.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    await_ready(server)
}

/// Starts a program whose output goes to the end of a file.
pub(super) fn spawn(mut command: Command, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("a writable folder");
    let errors = log.try_clone().expect("a second handle of an open file");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "redis-server is not installed; it is in the Debian package redis-server, which tests/run installs"
        ),
        _ => panic!("cannot start redis-server: {error}"),
    })
}

fn await_ready(server: &Server) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < READY_DEADLINE {
        let mut child = server.child.lock().unwrap_or_else(PoisonError::into_inner);
        if child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
            return Err(server.log());
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_ok() {
            return Ok(());
        }
        drop(child);
        std::thread::sleep(READY_POLL);
    }
    Err(server.log())
}

pub(super) fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Tests run in several processes at once: each begins somewhere else.
    let begin = u16::try_from(std::process::id() * 97 % u32::from(PORTS.end - PORTS.start))
        .expect("a remainder of 16 bits");
    for _ in PORTS {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + begin.wrapping_add(tried) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

impl Server {
    pub(super) fn cli(&self, words: &[String]) -> String {
        let mut command = Command::new("redis-cli");
        command.current_dir(self.folder.path()).args(["-p", &self.port.to_string()]);
        if self.options.is_encrypted {
            command.args(["--tls", "--cacert", "ca.crt"]);
        }
        command.args(&self.options.cli_arguments).args(words);
        output(command)
    }
}

/// Runs `redis-cli` to its end and returns what it printed.
pub(super) fn output(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run redis-cli, of the Debian package redis-tools: {error}")
    });
    let stdout = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    assert!(
        output.status.success(),
        "redis-cli: {stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
