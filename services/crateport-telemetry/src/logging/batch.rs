//! Log lines leave in batches.
//!
//! A system call for each line would cost a request as much as all its other work. A line is put behind those that
//! wait, and a thread writes them together a moment later, or at once when there are many. Nobody waits for a reader
//! that stands still: lines beyond the limit are dropped, and how many is told once there is room again.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// A sink for log lines. Cheap to clone; everything written through any clone keeps its order.
#[derive(Clone)]
pub(super) struct Batches(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    /// The thread is writing what it took.
    is_writing: bool,
    /// Somebody waits for all to be written.
    is_hurried: bool,
}

/// How long a line waits for others at most.
const DELAY: Duration = Duration::from_millis(20);
/// From this size on a batch leaves at once.
const BATCH_BYTES: usize = 64 << 10;
/// What a reader that stands still may have waiting for it; lines beyond are dropped.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// How long [`Batches::flush_all`] waits for such a reader.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

impl Batches {
    /// Writes to `sink` in a thread of its own.
    pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new() });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_on(sink))?;
        Ok(Self(shared))
    }

    /// Adds whole lines.
    pub(super) fn add(&self, lines: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.text.len() + lines.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        let was = waiting.text.len();
        waiting.text.extend_from_slice(lines);
        let is_first = was == 0;
        let is_full = was < BATCH_BYTES && waiting.text.len() >= BATCH_BYTES;
        drop(waiting);
        if is_first || is_full {
            self.0.changed.notify_all();
        }
    }

    /// Waits until everything is written, but not for a reader that stands still.
    pub(super) fn flush_all(&self) {
        let mut waiting = self.0.lock();
        waiting.is_hurried = true;
        self.0.changed.notify_all();
        let is_left = |waiting: &mut Waiting| !waiting.text.is_empty() || waiting.is_writing;
        let waited = self.0.changed.wait_timeout_while(waiting, FLUSH_TIMEOUT, is_left);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_hurried = false;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let waiting = self.changed.wait_while(self.lock(), |waiting| waiting.text.is_empty());
            let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let may_grow =
                |waiting: &mut Waiting| waiting.text.len() < BATCH_BYTES && !waiting.is_hurried;
            let waiting = self.changed.wait_timeout_while(waiting, DELAY, may_grow);
            let (mut waiting, _) = waiting.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut batch, &mut waiting.text);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            // A sink that fails has nobody to be told.
            let _ = sink.write_all(&batch);
            if dropped > 0 {
                let _ = writeln!(
                    sink,
                    "crateport: {dropped} log lines were dropped: their reader stood still"
                );
            }
            let _ = sink.flush();
            batch.clear();
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

/// What the formatter writes a line to: it hands over whole lines.
impl Write for &Batches {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Batches {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes a batch when it is told to.
    struct Reader {
        allowed: mpsc::Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.allowed.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reader() -> (mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>, Batches) {
        let (allow, allowed) = mpsc::channel();
        let taken = Arc::default();
        let batches = Batches::to(Reader { allowed, taken: Arc::clone(&taken) }).unwrap();
        (allow, taken, batches)
    }

    /// Lines that arrived, and those that were told to be dropped.
    fn counted(text: &str) -> usize {
        let dropped =
            |line: &str| line.strip_prefix("crateport: ")?.split(' ').next()?.parse().ok();
        text.lines()
            .map(|line| if line.starts_with('x') { 1 } else { dropped(line).unwrap_or(0) })
            .sum()
    }

    #[test]
    fn every_line_arrives_in_order_once_all_are_flushed() {
        let (allow, taken, batches) = reader();
        drop(allow);
        let lines = (0..10_000).map(|number| format!("line {number}\n")).collect::<Vec<_>>();
        for line in &lines {
            batches.add(line.as_bytes());
        }
        batches.flush_all();
        assert_eq!(*taken.lock().unwrap(), lines.concat().into_bytes());
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_loses_lines_that_are_counted() {
        let (allow, taken, batches) = reader();
        let line = [b'x'; 1023].iter().chain(b"\n").copied().collect::<Vec<u8>>();
        let count = 3 * WAITING_BYTES_MAX / line.len();
        for _ in 0..count {
            batches.add(&line);
        }
        drop(allow);
        let written = || String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        // On a busy machine the thread may not get its turn within the timeout.
        while counted(&written()) < count {
            batches.flush_all();
        }
        let text = written();
        assert!(text.contains("crateport: "), "all of it was waited for");
        assert_eq!(counted(&text), count);
    }
}
