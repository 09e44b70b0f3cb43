//! A proxy that speaks xDS as Envoy does: it asks for what it needs, takes it, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::listener::v3::{Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::mesh::PATIENCE;

pub const CDS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub const EDS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
pub const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// One stream, with the conversation in the test's hands.
pub struct Stream {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
    node: Option<Node>,
}

impl Stream {
    pub async fn open(xds: SocketAddr, node: Node) -> Self {
        let mut client = AggregatedDiscoveryServiceClient::connect(format!("http://{xds}")).await.unwrap();
        let (requests, receiver) = mpsc::channel(16);
        let responses = client.stream_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { requests, responses, node: Some(node) }
    }

    pub async fn send(&mut self, request: DiscoveryRequest) {
        let node = self.node.take();
        self.requests.send(DiscoveryRequest { node, ..request }).await.unwrap();
    }

    pub async fn subscribe(&mut self, type_url: &str, names: &[&str]) {
        self.send(request(type_url, names)).await;
    }

    pub async fn ack(&mut self, response: &DiscoveryResponse, names: &[&str]) {
        let version_info = response.version_info.clone();
        let response_nonce = response.nonce.clone();
        self.send(DiscoveryRequest { version_info, response_nonce, ..request(&response.type_url, names) }).await;
    }

    pub async fn refuse(&mut self, response: &DiscoveryResponse, names: &[&str], message: &str) {
        let error_detail = Some(Status { code: 13, message: message.to_owned(), details: Vec::new() });
        let response_nonce = response.nonce.clone();
        self.send(DiscoveryRequest { error_detail, response_nonce, ..request(&response.type_url, names) }).await;
    }

    pub async fn next(&mut self) -> DiscoveryResponse {
        self.try_next().await.unwrap().expect("the stream ended")
    }

    pub async fn try_next(&mut self) -> Result<Option<DiscoveryResponse>, tonic::Status> {
        tokio::time::timeout(PATIENCE, self.responses.message()).await.expect("no response came")
    }
}

pub fn request(type_url: &str, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DiscoveryRequest::default()
    }
}

/// Node of a workload of Bookinfo, at an address of its own.
pub fn sidecar(app: &str, version: &str, ip: &str) -> Node {
    node("sidecar", "bookinfo", &format!("{app}-{version}"), ip, &[("app", app), ("version", version)])
}

pub fn gateway(ip: &str) -> Node {
    node("router", "istio-system", "istio-ingressgateway", ip, &[("istio", "ingressgateway")])
}

pub fn node(node_type: &str, namespace: &str, workload: &str, ip: &str, labels: &[(&str, &str)]) -> Node {
    let ports = r#"[{"name":"http","containerPort":9080,"protocol":"TCP"}]"#;
    let metadata = fields(&[
        ("NAMESPACE", text(namespace)),
        ("WORKLOAD_NAME", text(workload)),
        ("ISTIO_VERSION", text("1.27.0")),
        ("INTERCEPTION_MODE", text("NONE")),
        ("POD_PORTS", text(if node_type == "sidecar" { ports } else { "" })),
        ("LABELS", object(&labels.iter().map(|(name, value)| (*name, text(value))).collect::<Vec<_>>())),
    ]);
    Node {
        id: format!("{node_type}~{ip}~{workload}-0.{namespace}~{namespace}.svc.cluster.local"),
        cluster: format!("{workload}.{namespace}"),
        metadata: Some(metadata),
        ..Node::default()
    }
}

pub fn without_istio(mut node: Node) -> Node {
    node.metadata.as_mut().unwrap().fields.remove("ISTIO_VERSION");
    node
}

fn fields(entries: &[(&str, Value)]) -> Struct {
    Struct { fields: entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() }
}

fn object(entries: &[(&str, Value)]) -> Value {
    Value { kind: Some(Kind::StructValue(fields(entries))) }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// A proxy that follows its control plane by itself.
pub struct Proxy {
    stream: Stream,
    pub state: State,
    names: BTreeMap<String, BTreeSet<String>>,
}

/// What the proxy runs.
#[derive(Default)]
pub struct State {
    pub clusters: BTreeMap<String, Cluster>,
    /// Addresses by cluster.
    pub endpoints: BTreeMap<String, BTreeSet<String>>,
    pub listeners: BTreeMap<String, Listener>,
    pub routes: BTreeMap<String, RouteConfiguration>,
    /// Types in the order in which they came.
    pub pushes: Vec<String>,
    /// Clusters that routes pointed at while they were not there, or had no endpoints yet.
    pub dangling: BTreeSet<String>,
}

impl Proxy {
    pub async fn start(xds: SocketAddr, node: Node) -> Self {
        let mut stream = Stream::open(xds, node).await;
        stream.subscribe(CDS, &[]).await;
        stream.subscribe(LDS, &[]).await;
        Self { stream, state: State::default(), names: BTreeMap::new() }
    }

    /// Takes what comes until the state is as wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&State) -> bool) -> &State {
        let taken = async {
            while !wanted(&self.state) {
                let response = self.stream.responses.message().await.unwrap().expect("the stream ended");
                self.take(&response).await;
            }
        };
        tokio::time::timeout(PATIENCE, taken).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
        &self.state
    }

    /// Until there are clusters, endpoints, listeners and routes of everything asked for.
    pub async fn until_complete(&mut self) -> &State {
        self.until("everything is there", |state| {
            !state.clusters.is_empty()
                && !state.listeners.is_empty()
                && eds_names(state).iter().all(|name| state.endpoints.contains_key(name))
                && rds_names(state).iter().all(|name| state.routes.contains_key(name))
        })
        .await
    }

    /// Takes whatever comes for as long as the test lasts.
    pub async fn follow(mut self) {
        while let Ok(Some(response)) = self.stream.responses.message().await {
            self.take(&response).await;
        }
    }

    async fn take(&mut self, response: &DiscoveryResponse) {
        self.state.take(response);
        let names: BTreeSet<String> = match response.type_url.as_str() {
            EDS => eds_names(&self.state),
            RDS => rds_names(&self.state),
            _ => BTreeSet::new(),
        };
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        self.stream.ack(response, &borrowed).await;
        self.nonces(response);
        if response.type_url == CDS {
            self.ask(EDS, eds_names(&self.state)).await;
        }
        if response.type_url == LDS {
            self.ask(RDS, rds_names(&self.state)).await;
        }
    }

    fn nonces(&mut self, response: &DiscoveryResponse) {
        let key = format!("nonce {}", response.type_url);
        self.names.insert(key, BTreeSet::from([response.version_info.clone() + "\n" + &response.nonce]));
    }

    /// Sends the names when they changed.
    async fn ask(&mut self, type_url: &str, names: BTreeSet<String>) {
        if self.names.get(type_url) == Some(&names) {
            return;
        }
        let last = self.names.get(&format!("nonce {type_url}")).and_then(|set| set.first().cloned()).unwrap_or_default();
        let (version, nonce) = last.split_once('\n').unwrap_or_default();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let with_nonce = DiscoveryRequest {
            version_info: version.to_owned(),
            response_nonce: nonce.to_owned(),
            ..request(type_url, &borrowed)
        };
        self.stream.send(with_nonce).await;
        self.names.insert(type_url.to_owned(), names);
    }
}

impl State {
    pub fn take(&mut self, response: &DiscoveryResponse) {
        self.pushes.push(response.type_url.rsplit('.').next().unwrap().to_owned());
        let values = || response.resources.iter().map(|any| &any.value[..]);
        match response.type_url.as_str() {
            CDS => {
                let all = values().map(|bytes| Cluster::decode(bytes).unwrap());
                self.clusters = all.map(|cluster| (cluster.name.clone(), cluster)).collect();
            }
            LDS => {
                let all = values().map(|bytes| Listener::decode(bytes).unwrap());
                self.listeners = all.map(|listener| (listener.name.clone(), listener)).collect();
            }
            RDS => {
                let all = values().map(|bytes| RouteConfiguration::decode(bytes).unwrap());
                self.routes.extend(all.map(|routes| (routes.name.clone(), routes)));
            }
            EDS => {
                let all = values().map(|bytes| ClusterLoadAssignment::decode(bytes).unwrap());
                self.endpoints.extend(all.map(|load| (load.cluster_name.clone(), addresses(&load))));
            }
            other => panic!("unexpected type {other}"),
        }
        let ready = |name: &String| {
            let cluster = self.clusters.get(name);
            cluster.is_some_and(|cluster| cluster.eds_cluster_config.is_none() || self.endpoints.contains_key(name))
        };
        let dangling: Vec<String> = self.routes.values().flat_map(clusters_in).filter(|name| !ready(name)).collect();
        self.dangling.extend(dangling);
    }
}

fn addresses(load: &ClusterLoadAssignment) -> BTreeSet<String> {
    let endpoints = load.endpoints.iter().flat_map(|place| &place.lb_endpoints);
    endpoints.map(|endpoint| address(endpoint.host_identifier.as_ref().unwrap())).collect()
}

fn address(identifier: &HostIdentifier) -> String {
    use envoy_types::pb::envoy::config::core::v3::address::Address;
    use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
    let HostIdentifier::Endpoint(endpoint) = identifier else { panic!("a named endpoint") };
    let Some(Address::SocketAddress(socket)) = endpoint.address.as_ref().unwrap().address.clone() else {
        panic!("no socket address")
    };
    let Some(PortSpecifier::PortValue(port)) = socket.port_specifier else { panic!("a named port") };
    format!("{}:{port}", socket.address)
}

fn eds_names(state: &State) -> BTreeSet<String> {
    state.clusters.values().filter_map(|c| Some(c.eds_cluster_config.as_ref()?.service_name.clone())).collect()
}

fn rds_names(state: &State) -> BTreeSet<String> {
    let managers = state.listeners.values().filter_map(connection_manager);
    managers
        .filter_map(|manager| match manager.route_specifier {
            Some(RouteSpecifier::Rds(rds)) => Some(rds.route_config_name),
            _ => None,
        })
        .collect()
}

pub fn connection_manager(listener: &Listener) -> Option<HttpConnectionManager> {
    let filter = listener.filter_chains.first()?.filters.first()?;
    let Some(filter::ConfigType::TypedConfig(any)) = &filter.config_type else { return None };
    any.type_url.ends_with("HttpConnectionManager").then(|| HttpConnectionManager::decode(&any.value[..]).unwrap())
}

/// All clusters that a route configuration leads to.
pub fn clusters_in(config: &RouteConfiguration) -> Vec<String> {
    let routes = config.virtual_hosts.iter().flat_map(|host| &host.routes);
    let actions = routes.filter_map(|route| match &route.action {
        Some(Action::Route(action)) => action.cluster_specifier.clone(),
        _ => None,
    });
    let names = actions.flat_map(|specifier| match specifier {
        ClusterSpecifier::Cluster(name) => vec![name],
        ClusterSpecifier::WeightedClusters(all) => all.clusters.into_iter().map(|cluster| cluster.name).collect(),
        _ => Vec::new(),
    });
    names.collect()
}
