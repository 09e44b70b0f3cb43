//! What does one proxied request cost the sidecar, next to a real Envoy?
//!
//! Both are workloads of one mesh: the same collector steers them over ADS, both answer on an inbound port with metrics and
//! access log on, and both hand the requests to the same application. Load goes to one and the other in turn; what is
//! compared is the processor time of the proxy's own process, divided by the requests that it served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::envoy;
use crate::process::{self, Running};

const ROUNDS: usize = 5;
const REQUESTS: u64 = 20_000;
const CONCURRENCY: &str = "32";
/// Starting and the first configuration may take this long.
const READY: Duration = Duration::from_secs(30);

const XDS: &str = "127.51.0.1:15010";
const APP: &str = "127.52.0.11:9080";
const OURS: &str = "127.51.0.11";
const PEER: &str = "127.51.0.12";

pub fn run() -> Result<()> {
    let sidelight = sidelight()?;
    let peer = envoy::installed()?;
    let folder = std::env::temp_dir().join(format!("sidelight-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let outcome = compare(&sidelight, &peer, &folder);
    // Best effort: a folder left behind in the temporary one harms nobody.
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn compare(sidelight: &Path, peer: &Path, folder: &Path) -> Result<()> {
    let data = folder.join("data").display().to_string();
    let collector = [
        "collector",
        "--listen",
        "127.51.0.1:20001",
        "--xds",
        XDS,
        "--zipkin",
        "127.51.0.1:9411",
        "--auth",
        "none",
        "--data",
        &data,
    ];
    let _collector = Running::start("collector", Command::new(sidelight).args(collector))?;
    let _app = Running::start("application", Command::new(sidelight).args(["app", "httpbin", "--listen", APP]))?;
    process::until_listening("127.51.0.1:15010", READY)?;

    let ours = bootstrap(folder, "ours", OURS)?;
    let theirs = bootstrap(folder, "envoy", PEER)?;
    let ours = Running::start("sidecar", Command::new(sidelight).args(["sidecar", "--concurrency", "1", "-c"]).arg(ours))?;
    let theirs = Running::start(
        "Envoy",
        Command::new(peer).args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(theirs),
    )?;
    let mut sides = [Side::new("sidelight sidecar", OURS, ours), Side::new("Envoy 1.40", PEER, theirs)];
    for side in &sides {
        process::until_listening(&format!("{}:9080", side.ip), READY)?;
    }
    for round in 0..=ROUNDS {
        for side in &mut sides {
            let cost = side.measure(sidelight)?;
            // The first round opens connections and fills caches.
            if round > 0 {
                side.costs_us.push(cost);
            }
        }
    }
    let base = sides[0].median_us();
    for side in &mut sides {
        let (cost, memory) = (side.median_us(), side.process.resident_mib()?);
        println!("  {:<24} {cost:>8.1} µs/request   {:>5.2}   {memory:>6.1} MiB resident", side.name, cost / base);
    }
    Ok(())
}

struct Side {
    name: &'static str,
    ip: &'static str,
    process: Running,
    costs_us: Vec<f64>,
}

impl Side {
    fn new(name: &'static str, ip: &'static str, process: Running) -> Self {
        Self { name, ip, process, costs_us: Vec::new() }
    }

    fn measure(&self, sidelight: &Path) -> Result<f64> {
        let before = self.process.cpu()?;
        let url = format!("http://{}:9080/bytes/1024", self.ip);
        let count = REQUESTS.to_string();
        let load = ["app", "load", "--rps", "0", "--concurrency", CONCURRENCY, "--count", &count, &url];
        let output = Command::new(sidelight).args(load).output().context("cannot start the load client")?;
        ensure!(output.status.success(), "the load on {} failed: {}", self.name, String::from_utf8_lossy(&output.stderr));
        Ok((self.process.cpu()? - before).as_secs_f64() * 1e6 / REQUESTS as f64)
    }

    fn median_us(&mut self) -> f64 {
        self.costs_us.sort_by(f64::total_cmp);
        self.costs_us[self.costs_us.len() / 2]
    }
}

/// One bootstrap text serves both: that is the point of speaking Envoy's.
fn bootstrap(folder: &Path, name: &str, ip: &str) -> Result<PathBuf> {
    let text = format!(
        r#"node:
  id: sidecar~{ip}~{name}-0.bench~bench.svc.cluster.local
  cluster: {name}.bench
  metadata:
    NAMESPACE: bench
    WORKLOAD_NAME: {name}
    INSTANCE_IPS: {ip}
    INTERCEPTION_MODE: NONE
    LABELS: {{app: {name}, version: v1}}
    POD_PORTS: '[{{"name":"http","containerPort":9080,"protocol":"TCP"}}]'
    SIDELIGHT_APP_ENDPOINTS: '{{"9080":"{APP}"}}'
admin:
  address: {{socket_address: {{address: {ip}, port_value: 15000}}}}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{{envoy_grpc: {{cluster_name: xds-grpc}}}}]
  cds_config: {{resource_api_version: V3, ads: {{}}}}
  lds_config: {{resource_api_version: V3, ads: {{}}}}
static_resources:
  clusters:
    - name: xds-grpc
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{http2_protocol_options: {{}}}}
      load_assignment:
        cluster_name: xds-grpc
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: 127.51.0.1, port_value: 15010}}}}}}
"#
    );
    let path = folder.join(format!("{name}.yaml"));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The optimised binary beside this one.
fn sidelight() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let path = own.with_file_name("sidelight");
    if !path.is_file() {
        bail!("{} is missing: run the benchmarks with `cargo xtask bench`", path.display());
    }
    Ok(path)
}
