//! One run of a program to its end: under a deadline, its output kept, its whole process group
//! killed if it is late.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// What a program did.
#[derive(Debug, Clone)]
pub struct ProgramRun {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said; progress, warnings and errors are here.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
    command_line: String,
}

impl ProgramRun {
    /// Fails the test, with all output, unless it ended well.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert!(self.status.success(), "{} was to succeed\n{}", self.name(), self.report());
        self
    }

    /// Fails the test, with all output, if it ended well.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(!self.status.success(), "{} was to fail\n{}", self.name(), self.report());
        self
    }

    /// Fails the test, with all output, unless this stands in what it said or printed.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stderr.contains(text) || self.stdout.contains(text);
        assert!(said, "{} was to say {text:?}\n{}", self.name(), self.report());
        self
    }

    fn name(&self) -> &str {
        self.command_line.split(' ').next().unwrap_or_default()
    }

    /// Everything about it, for a failed test.
    pub fn report(&self) -> String {
        let Self { status, stdout, stderr, elapsed, command_line } = self;
        format!(
            "$ {command_line}\n{status} after {elapsed:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// A process group that is killed with its holder, so that no rustc outlives a test that was given up.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that was written a moment ago is busy for as long as a child that was forked meanwhile, for another test,
/// has not begun to run its own.
async fn spawn(command: &mut Command) -> io::Result<Child> {
    const TRIES_MAX: usize = 100;
    for _ in 0..TRIES_MAX {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            spawned => return spawned,
        }
    }
    command.spawn()
}

pub(crate) async fn run(
    mut command: Command,
    command_line: String,
    deadline: Duration,
) -> ProgramRun {
    // Files, not pipes: what a killed program said is still there.
    let (mut stdout, mut stderr) = (capture(), capture());
    command.stdin(Stdio::null()).stdout(writer(&stdout)).stderr(writer(&stderr));
    command.process_group(0).kill_on_drop(true);
    let start = Instant::now();
    let mut child = spawn(&mut command)
        .await
        .unwrap_or_else(|error| panic!("cannot start {command_line}: {error}"));
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(pid);
    let ended = tokio::time::timeout(deadline, child.wait()).await;
    match &ended {
        Ok(_) => group.0 = None,
        Err(_) => group.kill(),
    }
    let late = ended.is_err();
    let status = match ended {
        Ok(status) => status,
        Err(_) => child.wait().await,
    };
    let run = ProgramRun {
        status: status.expect("a child of this process can be waited for"),
        stdout: read(&mut stdout),
        stderr: read(&mut stderr),
        elapsed: start.elapsed(),
        command_line,
    };
    assert!(!late, "{} was killed after {deadline:?}\n{}", run.name(), run.report());
    run
}

fn capture() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn writer(file: &File) -> Stdio {
    file.try_clone().expect("a second handle of an open file").into()
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("an open temporary file");
    String::from_utf8_lossy(&bytes).into_owned()
}
