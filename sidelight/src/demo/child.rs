//! One process of the demo: started again when it crashes, ended through its stdin, its output kept in files.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::log_file::LogFile;

/// First and longest wait before a crashed process is started again.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A process that ran this long is forgiven its earlier crashes.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// Time to end after stdin has closed; then it is killed.
const END_LIMIT: Duration = Duration::from_secs(15);

/// How to start it.
#[derive(Clone, Debug)]
pub struct Process {
    /// As in messages: `reviews-v2 sidecar`.
    pub name: String,
    /// Arguments for this same program.
    pub args: Vec<String>,
    /// stderr, and stdout where no other file is given.
    pub log: PathBuf,
    /// stdout: a sidecar's access log.
    pub out: Option<PathBuf>,
}

/// Told about every unwanted end.
#[derive(Debug)]
pub struct Crash {
    pub name: String,
    pub how: String,
    pub log: PathBuf,
    pub again_in: Duration,
}

impl Process {
    /// Keeps it running until `stop`; returns when it is gone.
    pub async fn supervise(self, stop: CancellationToken, crashes: mpsc::Sender<Crash>) {
        let mut backoff = BACKOFF_MIN;
        while !stop.is_cancelled() {
            let started = Instant::now();
            let how = match self.start() {
                Ok(child) => match self.attend(child, &stop).await {
                    Some(status) => status.to_string(),
                    None => return,
                },
                Err(error) => format!("cannot be started: {error}"),
            };
            if started.elapsed() >= HEALTHY_AFTER {
                backoff = BACKOFF_MIN;
            }
            let crash = Crash { name: self.name.clone(), how, log: self.log.clone(), again_in: backoff };
            // Nobody listening is no reason to stop restarting.
            let _ = crashes.try_send(crash);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff) => {}
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--lifeline").args(&self.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches the demo alone, which then ends its processes in order.
        #[cfg(unix)]
        command.process_group(0);
        command.kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            // The arguments say everything; what was meant for the demo must not reach its processes.
            if name.to_string_lossy().starts_with("SIDELIGHT_") || name.eq_ignore_ascii_case("http_proxy") {
                command.env_remove(name);
            }
        }
        command.spawn()
    }

    /// `None` when it ended because it was told to.
    async fn attend(&self, mut child: Child, stop: &CancellationToken) -> Option<ExitStatus> {
        let lifeline = child.stdin.take();
        let log = Sink::open(&self.log);
        let out = self.out.as_deref().map_or_else(|| log.clone(), Sink::open);
        let copies = [
            child.stderr.take().map(|stream| tokio::spawn(copy(stream, log))),
            child.stdout.take().map(|stream| tokio::spawn(copy(stream, out))),
        ];
        let ended = tokio::select! {
            status = child.wait() => status.ok(),
            () = stop.cancelled() => {
                drop(lifeline);
                end(child).await;
                None
            }
        };
        for copy in copies.into_iter().flatten() {
            let _ = copy.await;
        }
        ended
    }
}

async fn end(mut child: Child) {
    if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// A log that two streams can share.
#[derive(Clone)]
struct Sink(Arc<Mutex<Option<LogFile>>>);

impl Sink {
    fn open(path: &Path) -> Self {
        Self(Arc::new(Mutex::new(LogFile::open(path).ok())))
    }

    /// A full disk costs the lines, not the process.
    fn write(&self, chunk: &[u8]) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file.as_mut() {
            let _ = file.write(chunk);
        }
    }
}

async fn copy(mut stream: impl AsyncRead + Unpin, sink: Sink) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        sink.write(&buffer[..count]);
    }
}
