//! `sidelight demo`: a whole mesh on one machine, started in order, watched, and ended without a trace.

pub mod args;
pub mod bootstrap;
mod child;
mod folder;
pub mod layout;
mod log_file;
mod preflight;
mod processes;
pub mod ready;
pub mod seed;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::ServerArgs;
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::print;
use crate::serve::stop_signal;
use args::{DemoArgs, GATEWAY_PORT};
use child::{Crash, Process};
use folder::{Folder, Marker};
use processes::Plan;

/// Crash reports that wait to be told.
const CRASHES_MAX: usize = 64;
/// A process that crashes this often before the demo is up will not come up.
const CRASHES_AT_START_MAX: usize = 3;
/// Time for the collector, the proxies and the first page; they need a second or two.
const START_LIMIT: Duration = Duration::from_secs(60);
/// An edited mesh may send no traffic over some edge of the sample; this long is waited for it.
const OLD_DATA_EDGES_LIMIT: Duration = Duration::from_secs(6);

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// Something was in the way before the start, or a process does not come up.
pub async fn run(args: DemoArgs) -> Result<(), Exit> {
    args.check()?;
    let stop = stop_signal(false)?;
    let folder = Folder::open(args.data_dir.clone())?;
    let plan = Plan::new(&args, gateway_port(&args, &folder)?);
    preflight::check_addresses(&plan.addresses())?;
    write_bootstraps(&plan, &folder)?;
    say(&format!("data directory: {}", folder.path.display()))?;

    let mut demo = Demo::new(plan, folder);
    let result = tokio::select! {
        result = demo.bring_up(&args) => result,
        () = stop.cancelled() => Ok(()),
    };
    if result.is_ok() {
        demo.watch(&stop).await;
        say("ending")?;
    }
    demo.take_down().await;
    result
}

fn gateway_port(args: &DemoArgs, folder: &Folder) -> Result<u16, Exit> {
    let chosen = args.gateway_port.map(|port| port.saturating_add(args.offset));
    let saved = folder.marker.as_ref().map(|marker| marker.gateway_port);
    match (chosen, saved) {
        (Some(chosen), Some(saved)) if chosen != saved => Err(Exit::settings(format!(
            "the gateway in `{}` was set up on port {saved}, not {chosen}; leave --gateway-port out, or choose another --data-dir",
            folder.path.display()
        ))),
        (_, Some(saved)) => Ok(saved),
        (Some(chosen), None) => Ok(chosen),
        (None, None) => Ok(GATEWAY_PORT.saturating_add(args.offset)),
    }
}

fn write_bootstraps(plan: &Plan, folder: &Folder) -> anyhow::Result<()> {
    for workload in &plan.workloads {
        let path = folder.bootstrap(&workload.role.workload);
        let text = serde_json::to_string_pretty(&bootstrap::bootstrap(workload, plan.xds))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(print(&format!("{line}\n"))?)
}

/// Processes that end together.
#[derive(Default)]
struct Group {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Group {
    fn start(&mut self, process: Process, crashes: &mpsc::Sender<Crash>) {
        self.tasks.spawn(process.supervise(self.stop.clone(), crashes.clone()));
    }

    async fn end(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Demo {
    plan: Plan,
    folder: Folder,
    load: Group,
    collector: Group,
    mesh: Group,
    crash: mpsc::Sender<Crash>,
    crashes: mpsc::Receiver<Crash>,
}

impl Demo {
    fn new(plan: Plan, folder: Folder) -> Self {
        let (crash, crashes) = mpsc::channel(CRASHES_MAX);
        let (load, collector, mesh) = (Group::default(), Group::default(), Group::default());
        Self { plan, folder, load, collector, mesh, crash, crashes }
    }

    async fn bring_up(&mut self, args: &DemoArgs) -> Result<(), Exit> {
        let started = Instant::now();
        let server = ServerArgs { server: format!("http://{}", self.plan.dashboard), token: None };
        let client = ApiClient::new(&server)?.with_author("demo");

        self.collector.start(self.plan.collector(&self.folder), &self.crash);
        self.or_crash("the collector does not answer", ready::collector(&client)).await?;
        say(&format!("collector: up after {:.1} s", started.elapsed().as_secs_f64()))?;
        let fresh = self.folder.marker.is_none();
        if fresh {
            let count = seed::seed(&client, self.plan.gateway.port()).await?;
            self.folder.mark(&Marker { gateway_port: self.plan.gateway.port() })?;
            say(&format!("configuration: {count} objects of Bookinfo saved"))?;
        } else {
            say("configuration: as it was left")?;
        }

        for process in self.plan.mesh(&self.folder) {
            self.mesh.start(process, &self.crash);
        }
        let count = self.plan.workloads.len();
        self.or_crash("not every sidecar is in sync; see `sidelight proxies`", ready::proxies(&client, count)).await?;
        say(&format!("sidecars: {count} in sync after {:.1} s", started.elapsed().as_secs_f64()))?;

        if !args.no_traffic {
            self.bring_traffic(args, &client, fresh).await?;
        }
        self.announce(started)
    }

    async fn bring_traffic(&mut self, args: &DemoArgs, client: &ApiClient, fresh: bool) -> Result<(), Exit> {
        let gateway = self.plan.gateway;
        let page = self.or_crash("no page comes through the gateway", ready::gateway(gateway)).await;
        match page {
            Ok(page) => page?,
            // Someone's edit may have closed the gateway; that is to be seen, not to be refused.
            Err(_) if !fresh => say("note: the gateway serves no /productpage with the saved configuration")?,
            Err(error) => return Err(error),
        }
        self.load.start(self.plan.load(&self.folder, args.rps), &self.crash);
        say(&format!("traffic: {} page views per second", args.rps))?;
        let limit = (!fresh).then_some(OLD_DATA_EDGES_LIMIT);
        let tell = |missing: &ready::Edges| eprintln!("waiting for the graph to show {}", edge_list(missing));
        let missing = ready::edges(client, limit, tell).await;
        if !missing.is_empty() {
            say(&format!("note: with the saved configuration the graph does not show {}", edge_list(&missing)))?;
        }
        Ok(())
    }

    fn announce(&self, started: Instant) -> Result<(), Exit> {
        say(&format!("ready after {:.1} s; it runs without a login, on this machine only", started.elapsed().as_secs_f64()))?;
        say(&format!("gateway: http://{}/productpage", self.plan.gateway))?;
        say(&format!("dashboard: http://{}", self.plan.dashboard))?;
        say("Ctrl-C ends everything")?;
        Ok(())
    }

    /// Waits for `what`, but neither for ever nor for a process that only crashes.
    async fn or_crash<T>(&mut self, otherwise: &str, what: impl Future<Output = T>) -> Result<T, Exit> {
        let mut crashes = 0;
        let logs = self.folder.path.join("logs");
        let limit = tokio::time::sleep(START_LIMIT);
        tokio::pin!(what, limit);
        loop {
            tokio::select! {
                value = &mut what => return Ok(value),
                Some(crash) = self.crashes.recv() => {
                    crashes += 1;
                    if crashes >= CRASHES_AT_START_MAX {
                        let tail = log_file::tail(&crash.log, 5);
                        return Err(anyhow!("{} ended again and again ({}):\n{tail}", crash.name, crash.how).into());
                    }
                    tell(&crash);
                }
                () = &mut limit => return Err(anyhow!("{otherwise} after {START_LIMIT:?}; logs are in {}", logs.display()).into()),
            }
        }
    }

    async fn watch(&mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(crash) = self.crashes.recv() => tell(&crash),
            }
        }
    }

    /// Traffic first, then the collector, whose last scrape must still find the sidecars.
    async fn take_down(&mut self) {
        self.load.end().await;
        self.collector.end().await;
        self.mesh.end().await;
    }
}

fn tell(crash: &Crash) {
    let Crash { name, how, log, again_in } = crash;
    eprintln!("{name} ended ({how}); it starts again in {again_in:?}; its log: {}", log.display());
}

fn edge_list(edges: &ready::Edges) -> String {
    edges.iter().map(|(from, to)| format!("{from} → {to}")).collect::<Vec<_>>().join(", ")
}
