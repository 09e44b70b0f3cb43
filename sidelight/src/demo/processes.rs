//! Which processes make the demo, and with which arguments.

use std::net::{Ipv4Addr, SocketAddr};

use super::args::DemoArgs;
use super::child::Process;
use super::folder::Folder;
use super::layout::{Network, Workload, bookinfo};

/// Everything that is decided before anything starts.
#[derive(Debug)]
pub struct Plan {
    pub dashboard: SocketAddr,
    pub gateway: SocketAddr,
    pub xds: SocketAddr,
    pub zipkin: SocketAddr,
    /// The gateway first.
    pub workloads: Vec<Workload>,
}

/// Samples are fresh enough to watch an edit work, and rare enough to cost nothing.
const SCRAPE_INTERVAL: &str = "1s";

/// Every page is traced, which makes some hundred megabytes in an hour; a demo that is forgotten must not fill the disk.
const KEEP_SPANS: &str = "1h";

impl Plan {
    #[must_use]
    pub fn new(args: &DemoArgs, gateway_port: u16) -> Self {
        let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port.saturating_add(args.offset)));
        let network = Network { base: args.loopback_base, offset: args.offset, shared: args.shared_address };
        Self {
            dashboard: local(args.port),
            // Already the port of the saved object, offset included.
            gateway: SocketAddr::from((Ipv4Addr::LOCALHOST, gateway_port)),
            xds: local(args.xds_port),
            zipkin: local(args.zipkin_port),
            workloads: bookinfo(&network),
        }
    }

    /// Everything that will be listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all = vec![self.dashboard, self.gateway, self.xds, self.zipkin];
        all.extend(self.workloads.iter().flat_map(Workload::listens_on));
        all
    }

    #[must_use]
    pub fn collector(&self, folder: &Folder) -> Process {
        let data = folder.path.display().to_string();
        let args = [
            "collector".to_owned(),
            format!("--listen={}", self.dashboard),
            format!("--data={data}"),
            "--auth=none".to_owned(),
            format!("--zipkin={}", self.zipkin),
            format!("--xds={}", self.xds),
            // The demo's sidecars send to Zipkin's port; another program may have the standard ports of OTLP.
            "--otlp-grpc=none".to_owned(),
            "--otlp-http=none".to_owned(),
            format!("--scrape-interval={SCRAPE_INTERVAL}"),
            "--trace-sampling=100".to_owned(),
            format!("--keep-spans={KEEP_SPANS}"),
        ];
        Process { name: "collector".to_owned(), args: args.into(), log: folder.log("collector"), out: None }
    }

    /// Sidecars, and the applications beside them.
    #[must_use]
    pub fn mesh(&self, folder: &Folder) -> Vec<Process> {
        let sidecars = self.workloads.iter().map(|workload| sidecar(workload, folder));
        let apps = self.workloads.iter().filter_map(|workload| app(workload, folder));
        sidecars.chain(apps).collect()
    }

    #[must_use]
    pub fn load(&self, folder: &Folder, rps: f64) -> Process {
        let url = format!("http://{}/productpage", self.gateway);
        let args = ["app", "load", &url, "--progress=60"].map(str::to_owned);
        let args = args.into_iter().chain([format!("--rps={rps}")]).collect();
        Process { name: "load".to_owned(), args, log: folder.log("load"), out: None }
    }
}

fn sidecar(workload: &Workload, folder: &Folder) -> Process {
    let name = &workload.role.workload;
    let bootstrap = folder.bootstrap(name).display().to_string();
    Process {
        name: format!("{name} sidecar"),
        args: vec!["sidecar".to_owned(), format!("--config={bootstrap}"), "--concurrency=1".to_owned()],
        log: folder.log(&format!("{name}-sidecar")),
        out: Some(folder.log(&format!("{name}-access"))),
    }
}

fn app(workload: &Workload, folder: &Folder) -> Option<Process> {
    let inbound = workload.inbound.as_ref()?;
    let name = &workload.role.workload;
    let mut args = vec!["app".to_owned(), workload.role.app.clone(), format!("--listen={}", inbound.app)];
    let proxy = format!("--proxy=http://{}", workload.outbound());
    match workload.role.app.as_str() {
        "productpage" => args.push(proxy),
        "reviews" => {
            args.extend([proxy, format!("--version={}", workload.role.version), format!("--pod-name={}", workload.instance())])
        }
        _ => {}
    }
    Some(Process { name: name.clone(), args, log: folder.log(name), out: None })
}
