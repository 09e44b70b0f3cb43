//! Graphviz: namespaces as clusters, failing edges red.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sidelight_api::graph::{Graph, Node, NodeType};

use super::{label, numbers};

pub fn render(graph: &Graph) -> String {
    let mut dot = String::from(
        "digraph mesh {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    let mut namespaces: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    // Boxes are drawn as clusters here, not as nodes.
    for node in graph.elements.nodes.iter().map(|node| &node.data).filter(|node| node.node_type != NodeType::Box) {
        namespaces.entry(&node.namespace).or_default().push(node);
    }
    for (number, (namespace, nodes)) in namespaces.iter().enumerate() {
        let _ = writeln!(dot, "  subgraph cluster_{number} {{\n    label={};", quoted(namespace));
        for node in nodes {
            let _ = writeln!(dot, "    {} [label={}, shape={}];", quoted(&node.id), quoted(&label(node)), shape(node));
        }
        dot.push_str("  }\n");
    }
    for edge in graph.elements.edges.iter().map(|edge| &edge.data) {
        let numbers = numbers(edge);
        let mut label = format!("{}/s", numbers.rate);
        if let Some(p95) = &numbers.p95_ms {
            let _ = write!(label, "\np95 {p95} ms");
        }
        let failing = numbers.errors_percent.parse::<f64>().is_ok_and(|percent| percent > 0.0);
        if failing {
            let _ = write!(label, "\n{} % errors", numbers.errors_percent);
        }
        let color = if failing { ", color=red" } else { "" };
        let _ = writeln!(dot, "  {} -> {} [label={}{color}];", quoted(&edge.source), quoted(&edge.target), quoted(&label));
    }
    dot.push_str("}\n");
    dot
}

fn shape(node: &Node) -> &'static str {
    match node.node_type {
        NodeType::Service => "triangle",
        NodeType::Workload => "circle",
        NodeType::Unknown => "diamond",
        _ => "box",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
