//! The mesh whose proxies are played: services, pods, and traces through them.

use super::random::{Random, uuid};

const SERVICES: [&str; 24] = [
    "productpage",
    "details",
    "reviews",
    "ratings",
    "cart",
    "checkout",
    "payment",
    "shipping",
    "currency",
    "email",
    "catalog",
    "search",
    "recommendation",
    "inventory",
    "pricing",
    "session",
    "profile",
    "orders",
    "invoices",
    "ledger",
    "fraud",
    "notify",
    "media",
    "gateway",
];
const PODS: u64 = 3;
const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "python-requests/2.31.0",
    "okhttp/4.12.0",
    "Go-http-client/1.1",
];
const METHODS: [&str; 6] = ["GET", "GET", "GET", "GET", "POST", "PUT"];
/// Calls of one trace, each with the spans of both its sides.
const CALLS: u64 = 4;
pub const SPANS_PER_TRACE: u64 = CALLS * 2;

/// A pod of a service.
#[derive(Clone, Debug)]
pub struct Pod {
    pub service: &'static str,
    pub number: u64,
}

impl Pod {
    pub fn any(random: &mut Random) -> Self {
        Self { service: random.pick::<&str>(&SERVICES), number: random.below(PODS) }
    }

    /// `all()` pods, in order.
    pub fn all() -> Vec<Self> {
        SERVICES.iter().flat_map(|&service| (0..PODS).map(move |number| Self { service, number })).collect()
    }

    fn index(&self) -> u64 {
        SERVICES.iter().position(|service| *service == self.service).unwrap_or_default() as u64
    }

    pub fn ip(&self) -> String {
        format!("10.{}.0.{}", 1 + self.index(), 10 + self.number)
    }

    pub fn name(&self) -> String {
        format!("{}-v{}-6b7f6db6c-x{}x7p", self.service, 1 + self.number, self.number)
    }

    pub fn workload(&self) -> String {
        format!("{}-v{}", self.service, 1 + self.number)
    }

    pub fn node_id(&self) -> String {
        format!("sidecar~{}~{}.shop~shop.svc.cluster.local", self.ip(), self.name())
    }
}

/// One side of one call.
pub struct MadeSpan {
    pub trace_id: [u8; 16],
    pub id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub is_server: bool,
    pub pod: Pod,
    pub name: String,
    pub start_us: u64,
    pub duration_us: u64,
    pub is_error: bool,
    pub tags: Vec<(&'static str, String)>,
}

/// A request through [`CALLS`] services.
pub fn trace(random: &mut Random, start_us: u64) -> Vec<MadeSpan> {
    let mut trace_id = [0; 16];
    trace_id[..8].copy_from_slice(&random.next().to_be_bytes());
    trace_id[8..].copy_from_slice(&random.next().to_be_bytes());
    let request_id = uuid(random.next(), 9);
    let user_agent = *random.pick::<&str>(&USER_AGENTS);
    let mut caller = Pod::any(random);
    let mut parent_id = None;
    let (mut start_us, mut duration_us) = (start_us, 8_000 + random.skewed(4_000));
    let mut spans = Vec::with_capacity(SPANS_PER_TRACE as usize);
    for _ in 0..CALLS {
        let called = Pod::any(random);
        let call = Call::any(random, &request_id, user_agent, &called);
        for is_server in [false, true] {
            let id = random.next().to_be_bytes();
            let pod = if is_server { &called } else { &caller };
            spans.push(MadeSpan {
                trace_id,
                id,
                parent_id,
                is_server,
                pod: pod.clone(),
                name: format!("{}.shop.svc.cluster.local:8080/*", called.service),
                start_us,
                duration_us,
                is_error: call.status >= 500,
                tags: call.tags(pod, &called, is_server),
            });
            parent_id = Some(id);
            start_us += 200 + random.below(400);
            duration_us = (duration_us * 4 / 5).saturating_sub(random.below(300)).max(50);
        }
        caller = called;
    }
    spans
}

struct Call {
    request_id: String,
    user_agent: &'static str,
    method: &'static str,
    url: String,
    status: u64,
    request_size: u64,
    response_size: u64,
}

impl Call {
    fn any(random: &mut Random, request_id: &str, user_agent: &'static str, called: &Pod) -> Self {
        let method = *random.pick::<&str>(&METHODS);
        let status = match random.below(200) {
            0 => 503,
            1 => 500,
            2..=5 => 404,
            _ => 200,
        };
        Self {
            request_id: request_id.to_owned(),
            user_agent,
            method,
            url: format!("http://{}:8080/api/v1/items/{}", called.service, random.below(5_000)),
            status,
            request_size: if method == "GET" { 0 } else { random.skewed(200) },
            response_size: random.skewed(400),
        }
    }

    /// As Envoy sends them, with Istio's custom tags behind.
    fn tags(&self, pod: &Pod, called: &Pod, is_server: bool) -> Vec<(&'static str, String)> {
        let cluster = match is_server {
            true => "inbound|8080||".to_owned(),
            false => format!("outbound|8080||{}.shop.svc.cluster.local", called.service),
        };
        let mut tags = vec![
            ("node_id", pod.node_id()),
            ("zone", "eu-central-1a".to_owned()),
            ("guid:x-request-id", self.request_id.clone()),
            ("http.url", self.url.clone()),
            ("http.method", self.method.to_owned()),
            ("downstream_cluster", "-".to_owned()),
            ("user_agent", self.user_agent.to_owned()),
            ("http.protocol", "HTTP/1.1".to_owned()),
            ("peer.address", pod.ip()),
            ("request_size", self.request_size.to_string()),
            ("response_size", self.response_size.to_string()),
            ("component", "proxy".to_owned()),
            ("upstream_cluster", cluster.clone()),
            ("upstream_cluster.name", format!("{cluster};")),
            ("http.status_code", self.status.to_string()),
            ("response_flags", if self.status == 503 { "UF,URX" } else { "-" }.to_owned()),
            ("istio.canonical_revision", "v1".to_owned()),
            ("istio.canonical_service", pod.service.to_owned()),
            ("istio.cluster_id", "Kubernetes".to_owned()),
            ("istio.mesh_id", "cluster.local".to_owned()),
            ("istio.namespace", "shop".to_owned()),
        ];
        if self.status >= 500 {
            tags.push(("error", "true".to_owned()));
        }
        tags
    }
}
