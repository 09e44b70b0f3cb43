//! Starts the programs of a benchmark, tells what they cost, and ends them.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Clock ticks per second in `/proc`: fixed on every Linux that we run on.
const TICKS: f64 = 100.0;

/// A program that is killed when it is no longer needed.
pub struct Running(Child);

impl Running {
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("cannot start the {name}"))
    }

    /// Processor time of all its threads so far.
    pub fn cpu(&self) -> Result<Duration> {
        let text = self.read("stat")?;
        // The name, in brackets, may hold blanks; counting starts behind it.
        let (_, fields) = text.rsplit_once(") ").context("/proc/…/stat has an unknown form")?;
        let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }

    pub fn resident_mib(&self) -> Result<f64> {
        self.memory_mib("VmRSS:")
    }

    /// The most that it ever had.
    pub fn peak_mib(&self) -> Result<f64> {
        self.memory_mib("VmHWM:")
    }

    fn memory_mib(&self, name: &str) -> Result<f64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.with_context(|| format!("/proc/…/status has no {name}"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} is no number"))?;
        Ok(kib / 1024.0)
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Tells it to end and waits until it did.
    pub fn stop(mut self, limit: Duration) -> Result<()> {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().context("cannot run `kill`")?;
        anyhow::ensure!(told.success(), "`kill -TERM {pid}` ended with {told}");
        let started = Instant::now();
        while self.0.try_wait().context("cannot wait for the process")?.is_none() {
            if started.elapsed() > limit {
                bail!("the process does not end within {limit:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until somebody accepts connections at `address`.
pub fn until_listening(address: &str, limit: Duration) -> Result<()> {
    let place: SocketAddr = address.parse().with_context(|| format!("`{address}` is no address"))?;
    let started = Instant::now();
    while TcpStream::connect_timeout(&place, Duration::from_secs(1)).is_err() {
        if started.elapsed() > limit {
            bail!("nobody listens on {address} after {limit:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
