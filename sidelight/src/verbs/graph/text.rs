//! One line per edge, in columns.

use sidelight_api::graph::{Edge, Graph};

use super::{by_id, label, numbers};
use crate::output::table;

pub fn render(graph: &Graph) -> String {
    let mut text = format!("{}, last {} s{}\n", graph.graph_type.as_str(), graph.duration, freshness(graph));
    if graph.elements.edges.is_empty() {
        text.push_str("no traffic in this window\n");
        return text;
    }
    let nodes = by_id(graph);
    let name = |id: &str| nodes.get(id).map_or_else(|| "?".to_owned(), |node| format!("{} ({})", label(node), node.namespace));
    let mut rows: Vec<Vec<String>> =
        graph.elements.edges.iter().map(|edge| row(&edge.data, name(&edge.data.source), name(&edge.data.target))).collect();
    rows.sort();
    text.push_str(&table(&["FROM", "", "TO", "PROTOCOL", "RATE/s", "ERRORS %", "P95 ms"], &rows));
    text
}

fn row(edge: &Edge, source: String, target: String) -> Vec<String> {
    let numbers = numbers(edge);
    vec![
        source,
        "→".to_owned(),
        target,
        edge.traffic.protocol.clone(),
        numbers.rate,
        numbers.errors_percent,
        numbers.p95_ms.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn freshness(graph: &Graph) -> String {
    match graph.last_sample_ms {
        Some(ms) => format!(", newest sample {} s before its end", (graph.timestamp - ms / 1_000).max(0)),
        None => String::new(),
    }
}
