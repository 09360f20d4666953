//! From a command line to a process that says it is ready.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use super::{CrateportOptions, FailedStart, READY_DEADLINE};
use crate::own_runtime::OwnRuntime;

pub(super) struct Running {
    pub(super) pid: Pid,
    /// `Some` once the process has been reaped.
    pub(super) exit: watch::Receiver<Option<ExitStatus>>,
    pub(super) urls: Vec<String>,
    pub(super) ops_url: String,
}

/// Everything that was printed, over restarts too.
#[derive(Default)]
pub(super) struct Log {
    lines: Mutex<Vec<String>>,
    changed: watch::Sender<()>,
}

impl Log {
    fn read<T>(&self, look: impl FnOnce(&mut Vec<String>) -> T) -> T {
        look(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn text(&self) -> String {
        self.read(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
    }

    fn push(&self, line: String) {
        self.read(|lines| lines.push(line));
        self.changed.send_replace(());
    }

    pub(super) async fn wait_until(&self, reached: impl Fn(&[String]) -> bool) {
        let mut changed = self.changed.subscribe();
        while !self.read(|lines| reached(lines)) {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    async fn collect(self: Arc<Self>, output: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            self.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
}

pub(super) async fn launch(
    runtime: &OwnRuntime,
    binary: &Path,
    options: &CrateportOptions,
    folder: &Path,
    log: &Arc<Log>,
) -> Result<Running, FailedStart> {
    let mut command = options.command(binary, folder);
    command.args(options.command_line(folder));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);

    let earlier = log.read(|lines| lines.len());
    let (pid, exit) = {
        let _inside = runtime.handle().enter();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()));
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .expect("a fresh child's pid");
        let outputs = [
            child.stdout.take().map(|output| runtime.handle().spawn(log.clone().collect(output))),
            child.stderr.take().map(|output| runtime.handle().spawn(log.clone().collect(output))),
        ];
        let (ended, exit) = watch::channel(None);
        runtime.handle().spawn(async move {
            let status = child.wait().await.ok();
            for output in outputs.into_iter().flatten() {
                let _ = output.await;
            }
            ended.send_replace(status);
        });
        (pid, exit)
    };

    let listeners = options.listeners();
    let (ready_log, mut failed) = (log.clone(), exit.clone());
    let ready = async move {
        tokio::select! {
            () = ready_log.wait_until(|lines| Addresses::of(&lines[earlier..]).are_all(listeners)) => None,
            status = failed.wait_for(Option::is_some) => status.ok().and_then(|status| *status),
        }
    };
    let status = runtime.within(READY_DEADLINE, ready).await;
    match (status, log.read(|lines| Addresses::of(&lines[earlier..]))) {
        (Some(None), Addresses { urls, ops_url: Some(ops_url) }) => {
            Ok(Running { pid, exit, urls, ops_url })
        }
        (status, _) => Err(FailedStart { status: status.flatten(), output: log.text() }),
    }
}

/// What the ready lines say.
#[derive(Debug, PartialEq, Eq)]
struct Addresses {
    urls: Vec<String>,
    ops_url: Option<String>,
}

impl Addresses {
    fn of(lines: &[String]) -> Self {
        let after = |mark: &'static str| {
            lines.iter().filter_map(move |line| {
                let url = line.strip_prefix(mark)?.split_whitespace().next()?;
                Some(url.trim_end_matches('/').to_owned())
            })
        };
        Self { urls: after("listening on ").collect(), ops_url: after("ops on ").next() }
    }

    fn are_all(&self, listeners: usize) -> bool {
        self.urls.len() >= listeners && self.ops_url.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines_are_found_among_others() {
        let lines = [
            "warming up",
            "listening on http://127.0.0.1:1",
            "now listening on nothing",
            "listening on https://127.0.0.1:2/ (TLS)",
            "ops on http://127.0.0.1:3",
        ];
        let lines = lines.map(String::from);
        let found = Addresses::of(&lines);
        assert_eq!(found.urls, ["http://127.0.0.1:1", "https://127.0.0.1:2"]);
        assert_eq!(found.ops_url.as_deref(), Some("http://127.0.0.1:3"));
        assert!(found.are_all(2) && !found.are_all(3) && !Addresses::of(&lines[..4]).are_all(2));
    }
}
