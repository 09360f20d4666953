//! Processes of the benchmark: each bound to its processors, its output in a file, killed with its holder.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cpu::Group;

/// How long a process may take to end after SIGTERM.
const END_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);

/// The processors a process may run on, as `taskset` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The one that the measured server has.
    Server,
    /// The one that the clients have.
    Client,
    /// The same, when they leave it idle: what works there now and then does not hold them up.
    Beside,
    /// Any.
    All,
}

/// A running process.
pub(crate) struct Child {
    process: std::process::Child,
    name: String,
}

/// One of this program's own parts: it says `ready` with what it has to tell, then answers each line with a line.
pub(crate) struct Part {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Cores {
    /// A command that starts this program there, and that ends it with this process, however that ends.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]);
        match self {
            Self::Server => command.args(["taskset", "--cpu-list", "0"]),
            Self::Client => command.args(["taskset", "--cpu-list", "1"]),
            Self::Beside => command.args(["taskset", "--cpu-list", "1", "nice", "-n", "19"]),
            Self::All => &mut command,
        };
        command.arg(program);
        command
    }
}

impl Child {
    /// Starts it; stderr goes to the end of `log`.
    pub(crate) fn start(mut command: Command, name: &str, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let process = command.stderr(log).spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { process, name: name.to_owned() })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// It and what it has started.
    pub(crate) fn group(&self) -> Result<Group> {
        Group::of(self.id())
    }

    /// What it prints, once.
    pub(crate) fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.process.stdout.take().context("a piped stdout")
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("{} has ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        let start = Instant::now();
        while self.process.try_wait()?.is_none() {
            if start.elapsed() > END_DEADLINE {
                bail!("{} did not end", self.name);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn signal(&mut self, signal: Signal) {
        let runs = matches!(self.process.try_wait(), Ok(None));
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw).filter(|_| runs) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Part {
    /// Starts this program again as its part `name`; it is ready when this returns.
    pub(crate) fn start(
        name: &str,
        arguments: &[String],
        cores: Cores,
        log: &Path,
    ) -> Result<Self> {
        let mut command = cores.command(&std::env::current_exe()?);
        command.args(["part", name]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Child::start(command, name, log)?;
        let input = child.process.stdin.take().context("a piped stdin")?;
        let output = BufReader::new(child.take_stdout()?);
        let mut part = Self { child, input, output, ready: Value::Null };
        part.ready = part.read().with_context(|| format!("{name}: see {}", log.display()))?;
        Ok(part)
    }

    /// Sends a line and returns the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        self.read()
    }

    /// A text of what it said when it was ready.
    pub(crate) fn said(&self, key: &str) -> Result<String> {
        let said = self.ready.get(key).and_then(Value::as_str);
        Ok(said.with_context(|| format!("{} does not say its {key}", self.child.name))?.to_owned())
    }

    /// It and what it has started.
    pub(crate) fn group(&self) -> Result<Group> {
        self.child.group()
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("{} has ended", self.child.name);
        }
        Ok(serde_json::from_str(&line)?)
    }
}
