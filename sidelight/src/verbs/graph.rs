//! `sidelight graph`: the service graph as text, DOT or the API's JSON.

mod dot;
mod text;

use std::collections::HashMap;

use sidelight_api::graph::{Edge, Graph, GraphType, Namespace, Node, NodeType};

use crate::cli::{GraphArgs, GraphKind, GraphOutput};
use crate::client::{ApiClient, encode};
use crate::exit::Exit;
use crate::output::{print, print_json};

pub async fn run(args: GraphArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let namespaces = match args.namespace.as_slice() {
        [] => all_namespaces(&client).await?,
        some => some.to_vec(),
    };
    let graph: Graph = client.get(&path(&namespaces, graph_type(args.graph_type), args.duration)).await?;
    match args.output {
        GraphOutput::Json => print_json(&graph)?,
        GraphOutput::Text => print(&text::render(&graph))?,
        GraphOutput::Dot => print(&dot::render(&graph))?,
    }
    Ok(())
}

async fn all_namespaces(client: &ApiClient) -> Result<Vec<String>, Exit> {
    let namespaces: Vec<Namespace> = client.get("/api/namespaces").await?;
    Ok(namespaces.into_iter().map(|namespace| namespace.name).collect())
}

/// The graph without service nodes between caller and workload.
pub(crate) fn path(namespaces: &[String], graph_type: GraphType, duration_s: u64) -> String {
    let namespaces: Vec<String> = namespaces.iter().map(|namespace| encode(namespace)).collect();
    format!(
        "/api/namespaces/graph?namespaces={}&graphType={}&duration={duration_s}s&injectServiceNodes=false&responseTime=95",
        namespaces.join(","),
        graph_type.as_str()
    )
}

fn graph_type(kind: GraphKind) -> GraphType {
    match kind {
        GraphKind::VersionedApp => GraphType::VersionedApp,
        GraphKind::App => GraphType::App,
        GraphKind::Workload => GraphType::Workload,
        GraphKind::Service => GraphType::Service,
    }
}

/// `reviews v2`, `reviews-v2`, `reviews`: what a person would call the node.
fn label(node: &Node) -> String {
    let name = match node.node_type {
        NodeType::App => node.app.clone().zip(node.version.clone()).map(|(app, version)| format!("{app} {version}")),
        NodeType::Service => node.service.clone(),
        NodeType::Workload => node.workload.clone(),
        _ => None,
    };
    name.or_else(|| node.app.clone())
        .or_else(|| node.workload.clone())
        .or_else(|| node.service.clone())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// What both renderings say about an edge.
struct EdgeNumbers {
    rate: String,
    errors_percent: String,
    p95_ms: Option<String>,
}

fn numbers(edge: &Edge) -> EdgeNumbers {
    let rates = &edge.traffic.rates;
    let protocol = edge.traffic.protocol.as_str();
    let rate = |key: &str| rates.get(key).cloned().unwrap_or_else(|| "0".to_owned());
    let percent_key = format!("{protocol}PercentErr");
    let p95 = edge.latency.map(|latency| format!("{:.0}", latency.p95));
    EdgeNumbers { rate: rate(protocol), errors_percent: rate(&percent_key), p95_ms: p95.or_else(|| edge.response_time.clone()) }
}

fn by_id(graph: &Graph) -> HashMap<&str, &Node> {
    graph.elements.nodes.iter().map(|node| (node.data.id.as_str(), &node.data)).collect()
}

#[cfg(test)]
mod tests;
