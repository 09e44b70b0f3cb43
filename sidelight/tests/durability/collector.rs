//! The collector as a process of its own, which can be killed at any moment and started again.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::client::get;

/// A start takes this long at most, on a machine that does ten other things.
pub const START_LIMIT: Duration = Duration::from_secs(30);

static ADDRESSES: AtomicU16 = AtomicU16::new(1);

/// What a collector is started with, and where its files are.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub database: String,
    pub address: Ipv4Addr,
    scrape_file: Option<PathBuf>,
    /// Words before the program: a limit, for one.
    pub wrapper: Vec<String>,
}

pub struct Running {
    child: Child,
    pub address: Ipv4Addr,
}

impl Place {
    pub fn new(database: Option<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("sidelight-durable-").tempdir().unwrap();
        let database = database.unwrap_or_else(|| format!("sqlite:{}", folder.path().join("sidelight.db").display()));
        let [low, number] = [(std::process::id() % 250) as u8, ADDRESSES.fetch_add(1, Ordering::Relaxed) as u8];
        Self { folder, database, address: Ipv4Addr::new(127, 77, low, number), scrape_file: None, wrapper: Vec::new() }
    }

    pub fn scrape(&mut self, targets: &[std::net::SocketAddr]) {
        let path = self.folder.path().join("targets.json");
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let labels = r#"{"__metrics_path__": "/stats/prometheus"}"#;
        std::fs::write(&path, format!(r#"[{{"targets": [{}], "labels": {labels}}}]"#, targets.join(","))).unwrap();
        self.scrape_file = Some(path);
    }

    pub fn sqlite_file(&self) -> &Path {
        Path::new(self.database.strip_prefix("sqlite:").unwrap())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("collector.log")
    }

    /// What the collectors of this place wrote to their log, of all lives.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn spawn(&self) -> Running {
        let program = env!("CARGO_BIN_EXE_sidelight");
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).chain([program]).collect();
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let address = self.address;
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["collector", "--auth", "none", "--log-level", "info", "--scrape-interval", "200ms"]);
        command.arg("--data").arg(self.folder.path()).args(["--database", &self.database]);
        let ports = [("--listen", 20001), ("--zipkin", 9411), ("--xds", 15010), ("--otlp-grpc", 4317), ("--otlp-http", 4318)];
        for (flag, port) in ports {
            command.arg(flag).arg(format!("{address}:{port}"));
        }
        if let Some(file) = &self.scrape_file {
            command.arg("--scrape-file").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
        Running { child: command.spawn().unwrap(), address }
    }

    /// Starts, waits until it is ready, and tells how long that took.
    pub async fn start(&self) -> (Running, Duration) {
        let began = Instant::now();
        let mut running = self.spawn();
        while !running.is_ready().await {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "the collector ended with {ended:?}:\n{}", self.logged());
            assert!(began.elapsed() < START_LIMIT, "not ready within {START_LIMIT:?}:\n{}", self.logged());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (running, began.elapsed())
    }
}

impl Running {
    pub async fn is_ready(&self) -> bool {
        matches!(get(self.address, "/readyz").await, Some((StatusCode::OK, _)))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9` does: no farewell, no last word to the database.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < START_LIMIT, "the collector does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < START_LIMIT, "the collector does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
