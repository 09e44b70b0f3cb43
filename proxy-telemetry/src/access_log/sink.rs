//! Where log lines go: a buffer that requests append to, and a thread of its own that writes whole buffers.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::metrics::{Counter, Families};

/// Bytes gathered before a buffer is handed to the writer.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// Full buffers waiting for the writer (1 MiB); beyond this, new lines are dropped and counted.
pub const BUFFERS_MAX: usize = 16;
/// Longest time a line waits for more lines before it is written.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Lines a [`MemoryLog`] keeps; beyond this, new lines are dropped and counted.
pub const MEMORY_LINES_MAX: usize = 100_000;

/// What lines are written to.
#[derive(Clone, Debug)]
pub enum LogTarget {
    Stdout,
    /// Appended to, and made when it does not exist.
    File(PathBuf),
    /// For tests.
    Memory(MemoryLog),
}

/// Lines in memory, for tests. Cheap to clone; all clones are one log.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<Vec<String>>>);

impl MemoryLog {
    /// All lines so far, without their newlines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    fn append(&self, line: &[u8]) -> bool {
        let mut lines = self.0.lock();
        let room = lines.len() < MEMORY_LINES_MAX;
        if room {
            lines.push(String::from_utf8_lossy(line).trim_end_matches('\n').to_owned());
        }
        room
    }
}

/// A place for lines. Cheap to clone; the writer ends, having written everything, when the last clone is dropped.
#[derive(Clone)]
pub struct LogSink(Arc<Inner>);

struct Inner {
    output: Output,
    counters: Counters,
}

enum Output {
    Memory(MemoryLog),
    Writer(Arc<Shared>),
}

#[derive(Clone, Debug)]
struct Counters {
    written: Counter,
    dropped_full: Counter,
    dropped_error: Counter,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    filling: Buffer,
    /// When the first line came into the filling buffer.
    since: Option<Instant>,
    full: VecDeque<Buffer>,
    waiters: Vec<oneshot::Sender<()>>,
    reopen: bool,
    closed: bool,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSink").field("counters", &self.0.counters).finish()
    }
}

impl LogSink {
    /// Opens the target and starts its writer. Lines written and dropped are counted in `families`.
    pub fn open(target: LogTarget, families: &Families) -> io::Result<Self> {
        let counters = Counters::new(families);
        let output = match target {
            LogTarget::Memory(log) => Output::Memory(log),
            LogTarget::Stdout => Output::Writer(start(Destination::Stdout, &counters)?),
            LogTarget::File(path) => {
                let file = open_file(&path)?;
                Output::Writer(start(Destination::File { path, file }, &counters)?)
            }
        };
        Ok(Self(Arc::new(Inner { output, counters })))
    }

    /// Hands a line over, or drops and counts it; never waits for the target.
    pub fn append(&self, line: &[u8]) {
        let Inner { output, counters } = &*self.0;
        match output {
            Output::Memory(log) if log.append(line) => counters.written.increment(),
            Output::Writer(shared) if shared.append(line) => {}
            Output::Memory(_) | Output::Writer(_) => counters.dropped_full.increment(),
        }
    }

    /// Waits until everything handed over so far is written.
    pub async fn flush(&self) {
        if let Output::Writer(shared) = &self.0.output {
            let (done, written) = oneshot::channel();
            shared.state.lock().waiters.push(done);
            shared.wake.notify_one();
            // An error means that the writer is gone, and with it what there was to wait for.
            let _ = written.await;
        }
    }

    /// Opens a file target anew under its path, after a rotation.
    pub fn reopen(&self) {
        if let Output::Writer(shared) = &self.0.output {
            shared.state.lock().reopen = true;
            shared.wake.notify_one();
        }
    }

    /// Lines written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.counters.written.get()
    }

    /// Lines dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.counters.dropped_full.get() + self.0.counters.dropped_error.get()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Output::Writer(shared) = &self.output {
            shared.state.lock().closed = true;
            shared.wake.notify_one();
        }
    }
}

impl Counters {
    fn new(families: &Families) -> Self {
        let dropped = |reason| families.counter("sidelight_access_log_lines_dropped_total", &[("reason", reason)]);
        Self {
            written: families.counter("sidelight_access_log_lines_written_total", &[]),
            dropped_full: dropped("queue_full"),
            dropped_error: dropped("write_error"),
        }
    }
}

impl Shared {
    fn append(&self, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        if !state.filling.bytes.is_empty() && state.filling.bytes.len() + line.len() > BUFFER_BYTES {
            if state.full.len() >= BUFFERS_MAX {
                return false;
            }
            let full = std::mem::take(&mut state.filling);
            state.full.push_back(full);
            state.since = None;
            self.wake.notify_one();
        }
        if state.since.is_none() {
            // The writer may be asleep without an alarm: it must start counting.
            state.since = Some(Instant::now());
            self.wake.notify_one();
        }
        state.filling.bytes.extend_from_slice(line);
        state.filling.lines += 1;
        true
    }

    /// Waits for work and takes it.
    fn take(&self) -> Work {
        let mut state = self.state.lock();
        loop {
            let due = state.since.map(|since| since + FLUSH_EVERY);
            let expired = due.is_some_and(|due| due <= Instant::now());
            let urgent = state.closed || state.reopen || !state.waiters.is_empty();
            if urgent || expired || !state.full.is_empty() {
                return state.take(urgent || expired);
            }
            match due {
                Some(due) => _ = self.wake.wait_until(&mut state, due),
                None => self.wake.wait(&mut state),
            }
        }
    }
}

impl State {
    fn take(&mut self, everything: bool) -> Work {
        let mut buffers: Vec<_> = self.full.drain(..).collect();
        if everything && self.filling.lines > 0 {
            buffers.push(std::mem::take(&mut self.filling));
            self.since = None;
        }
        Work {
            buffers,
            waiters: std::mem::take(&mut self.waiters),
            reopen: std::mem::take(&mut self.reopen),
            closed: self.closed,
        }
    }
}

struct Work {
    buffers: Vec<Buffer>,
    waiters: Vec<oneshot::Sender<()>>,
    reopen: bool,
    closed: bool,
}

enum Destination {
    Stdout,
    File { path: PathBuf, file: File },
}

fn start(destination: Destination, counters: &Counters) -> io::Result<Arc<Shared>> {
    let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
    let (writer_side, counters) = (Arc::clone(&shared), counters.clone());
    // A thread and not a task: a pipe that nobody reads must stop nobody else.
    std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || write_until_closed(destination, &writer_side, &counters))?;
    Ok(shared)
}

fn write_until_closed(mut destination: Destination, shared: &Shared, counters: &Counters) {
    loop {
        let work = shared.take();
        for buffer in &work.buffers {
            match destination.write(&buffer.bytes) {
                Ok(()) => counters.written.add(buffer.lines),
                Err(error) => {
                    counters.dropped_error.add(buffer.lines);
                    tracing::warn!(%error, lines = buffer.lines, "access log not written");
                }
            }
        }
        if work.reopen {
            // After writing: lines from before the rotation belong to the old file.
            destination.reopen();
        }
        for waiter in work.waiters {
            // Whoever waited may have given up.
            let _ = waiter.send(());
        }
        if work.closed {
            return;
        }
    }
}

impl Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.write_all(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
        }
    }

    fn reopen(&mut self) {
        if let Self::File { path, file } = self {
            match open_file(path) {
                Ok(new) => *file = new,
                Err(error) => tracing::warn!(%error, path = %path.display(), "access log not reopened"),
            }
        }
    }
}

fn open_file(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
