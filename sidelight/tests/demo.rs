//! `sidelight demo` as its user meets it: a line when it is ready, nothing left when it is gone, history kept.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const BINARY: &str = env!("CARGO_BIN_EXE_sidelight");
const LIMIT: Duration = Duration::from_secs(60);

struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ports: [u16; 4],
}

/// Ports and addresses of its own, apart from every other demo of this machine.
fn command(dir: &Path, ports: [u16; 4]) -> Command {
    let mut command = Command::new(BINARY);
    let [port, gateway, xds, zipkin] = ports.map(|port| port.to_string());
    command.args(["demo", "--port", &port, "--gateway-port", &gateway, "--xds-port", &xds, "--zipkin-port", &zipkin]);
    command.args(["--loopback-base", &base(), "--data-dir"]).arg(dir).args(["--rps", "50"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The same for all demos of this process, which are started one after the other or share no address.
fn base() -> String {
    static HELD: OnceLock<(String, TcpListener)> = OnceLock::new();
    let free = |number: u32| {
        let network = format!("127.{}.7", 30 + 2 * (number % 30));
        let held = TcpListener::bind(format!("{network}.1:15999")).ok()?;
        Some((format!("{network}.0"), held))
    };
    let start = std::process::id();
    HELD.get_or_init(|| (start..start + 30).find_map(free).expect("a network is free")).0.clone()
}

fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Demo {
    async fn start(dir: &Path, ports: [u16; 4]) -> Self {
        Self::spawn(command(dir, ports), ports).await
    }

    async fn spawn(mut command: Command, ports: [u16; 4]) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut demo = Self { child, lines, ports };
        demo.line(&format!("dashboard: http://127.0.0.1:{}", ports[0])).await;
        demo
    }

    async fn line(&mut self, wanted: &str) {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                println!("{line}");
                if line == wanted {
                    return;
                }
            }
            panic!("ended without `{wanted}`");
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("no `{wanted}` within {LIMIT:?}"));
    }

    fn client(&self, args: &[&str]) -> String {
        let server = format!("http://127.0.0.1:{}", self.ports[0]);
        let output = std::process::Command::new(BINARY).args(args).env("SIDELIGHT_SERVER", server).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn processes(&self) -> Vec<(u32, String)> {
        descendants(self.child.id().unwrap())
    }

    async fn stop(mut self, signal: &str) {
        let family = self.processes();
        assert!(family.len() >= 15, "{family:?}");
        send(signal, self.child.id().unwrap());
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.expect("the demo ends").unwrap();
        assert!(status.success(), "{status}");
        let left: Vec<_> = family.iter().filter(|(pid, _)| Path::new(&format!("/proc/{pid}")).exists()).collect();
        assert!(left.is_empty(), "{left:?}");
        for port in self.ports {
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is still taken");
        }
    }
}

fn descendants(pid: u32) -> Vec<(u32, String)> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let command = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    children.split_whitespace().map(|pid| pid.parse().unwrap()).map(|pid| (pid, command(pid))).collect()
}

fn send(signal: &str, pid: u32) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn demo_comes_up_heals_ends_and_continues() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut demo = Demo::start(dir.path(), ports).await;
    let graph = demo.client(&["graph", "-n", "bookinfo,istio-system"]);
    for app in ["productpage v1 (bookinfo)", "details v1", "reviews v1", "reviews v2", "reviews v3", "ratings v1"] {
        assert!(graph.contains(app), "{app} in\n{graph}");
    }
    heals(&mut demo).await;

    let yaml = demo.client(&["get", "vs", "reviews", "-o", "yaml"]).replace("weight: 34", "weight: 0").replacen(
        "weight: 33",
        "weight: 67",
        1,
    );
    let file = dir.path().join("reviews.yaml");
    std::fs::write(&file, yaml).unwrap();
    let applied = demo.client(&["apply", "-f", file.to_str().unwrap(), "-m", "v1 goes"]);
    assert_eq!(applied, "virtualservice/reviews configured (revision 2)\n");
    demo.stop("-INT").await;

    let started = Instant::now();
    let demo = Demo::start(dir.path(), ports).await;
    println!("second start: {:.1} s", started.elapsed().as_secs_f64());
    let history = demo.client(&["history", "vs", "reviews"]);
    assert!(history.contains("v1 goes") && history.lines().count() == 3, "{history}");
    demo.stop("-TERM").await;
}

/// A killed service and a killed collector are started again, and all proxies find back.
async fn heals(demo: &mut Demo) {
    for part in ["app details", "collector --listen"] {
        let before = process(demo, part).unwrap();
        send("-KILL", before);
        eventually(&format!("`{part}` was not started again"), || process(demo, part).is_some_and(|pid| pid != before)).await;
    }
    eventually("the proxies did not come back", || {
        let server = format!("http://127.0.0.1:{}", demo.ports[0]);
        let output = std::process::Command::new(BINARY).args(["proxies", "--server", &server]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().filter(|line| line.matches("synced").count() == 4).count() == 7
    })
    .await;
}

fn process(demo: &Demo, part: &str) -> Option<u32> {
    demo.processes().into_iter().find(|(_, command)| command.contains(part)).map(|(pid, _)| pid)
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The way where 127.0.0.1 is the whole loopback; and killed without a chance to tidy up, no process stays behind.
#[tokio::test]
async fn all_workloads_fit_on_one_address_and_die_with_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let offset = u16::try_from(std::process::id() % 12).unwrap() * 1_000;
    let ports = free_ports();
    let mut command = command(dir.path(), ports.map(|port| port - offset));
    command.args(["--shared-address", "--offset", &offset.to_string()]);
    let mut demo = Demo::spawn(command, ports).await;
    let family = demo.processes();
    assert!(family.len() >= 15, "{family:?}");
    demo.child.kill().await.unwrap();
    eventually("processes outlive the demo", || family.iter().all(|(pid, _)| !Path::new(&format!("/proc/{pid}")).exists())).await;
}

#[tokio::test]
async fn a_busy_port_is_one_error_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let [_, gateway, xds, zipkin] = free_ports();
    let port = busy.local_addr().unwrap().port();
    let output = command(dir.path(), [port, gateway, xds, zipkin]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with(&format!("error: 127.0.0.1:{port} is in use; ")), "{error}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn an_unwritable_directory_is_one_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside: PathBuf = file.path().join("data");
    let output = command(&inside, free_ports()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: cannot write to `") && error.lines().count() == 1, "{error}");
}
