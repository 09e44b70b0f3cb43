//! Assembles the spans of one trace into a tree, one clock and a critical path: pure, and for any set of spans.
//!
//! It is done when a trace is read, so a span that arrives late is in the next answer.

mod critical;
mod facts;
mod skew;
mod tree;

use std::collections::HashMap;

use sidelight_api::trace::TraceOddity;

pub use critical::Segment;
use facts::Facts;

use crate::store::Span;

/// A trace in order. Indices are those of the spans that it was assembled from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly<'a> {
    /// `None` only when there are no spans.
    pub root: Option<usize>,
    pub start_ns: i64,
    /// From the first start to the last end.
    pub duration_ns: i64,
    pub errors: u64,
    /// Every span before its children, siblings by their start.
    pub nodes: Vec<Node>,
    /// In the order in which they first appear.
    pub services: Vec<Service<'a>>,
    /// Oldest first, without gaps from the root's start to its end.
    pub critical_path: Vec<Segment>,
    /// Sorted, each once.
    pub oddities: Vec<TraceOddity>,
}

/// One span's place in the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which span.
    pub span: usize,
    /// Index into [`Assembly::nodes`]: always smaller than its own.
    pub parent: Option<usize>,
    pub depth: u64,
    /// By the adjusted clock.
    pub start_ns: i64,
    /// Never negative.
    pub duration_ns: i64,
    /// Added to what the reporter's clock said.
    pub skew_ns: i64,
    /// Its own part of the critical path.
    pub critical_ns: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    pub name: &'a str,
    pub spans: u64,
    pub errors: u64,
    /// Its own part of the critical path.
    pub critical_ns: i64,
}

/// Never fails and always ends, whatever the spans say: of their own parents, of cycles, of times.
#[must_use]
pub fn assemble(spans: &[Span]) -> Assembly<'_> {
    let mut facts: Vec<Facts<'_>> = spans.iter().map(Facts::of).collect();
    let tree::Tree { parents, children, roots, root, mut oddities } = tree::build(&facts);
    let Some(root) = root else { return Assembly::default() };
    let skews = skew::adjust(&mut facts, &children, &roots);
    if skews.iter().any(|skew| *skew != 0) {
        oddities.push(TraceOddity::ClockSkew);
    }
    if facts.iter().any(|fact| fact.end_ns() > facts[root].end_ns()) {
        oddities.push(TraceOddity::OutlivesRoot);
    }
    oddities.sort_unstable();
    oddities.dedup();

    let critical_path = critical::path(&facts, &children, root);
    let mut critical_ns = vec![0; facts.len()];
    for segment in &critical_path {
        critical_ns[segment.span] += segment.to_ns - segment.from_ns;
    }
    let start_ns = facts.iter().map(|fact| fact.start_ns).min().unwrap_or_default();
    let end_ns = facts.iter().map(Facts::end_ns).max().unwrap_or_default();
    Assembly {
        root: Some(root),
        start_ns,
        duration_ns: end_ns - start_ns,
        errors: facts.iter().filter(|fact| fact.is_error).count() as u64,
        services: services(&facts, &critical_ns),
        nodes: in_order(&facts, &Places { parents: &parents, children: &children, roots: &roots }, &skews, &critical_ns),
        critical_path,
        oddities,
    }
}

struct Places<'a> {
    parents: &'a [Option<usize>],
    children: &'a [Vec<usize>],
    roots: &'a [usize],
}

/// Depth first, without recursion: a trace may be as deep as it has spans.
fn in_order(facts: &[Facts<'_>], places: &Places<'_>, skews: &[i64], critical_ns: &[i64]) -> Vec<Node> {
    let by_start = |indices: &[usize]| {
        let mut sorted = indices.to_vec();
        // Latest first: they are taken from the end.
        sorted.sort_by_key(|&index| std::cmp::Reverse((facts[index].start_ns, index)));
        sorted
    };
    let mut place_of = vec![0; facts.len()];
    let mut nodes: Vec<Node> = Vec::with_capacity(facts.len());
    let mut waiting = by_start(places.roots);
    while let Some(span) = waiting.pop() {
        let parent = places.parents[span].map(|parent| place_of[parent]);
        place_of[span] = nodes.len();
        nodes.push(Node {
            span,
            parent,
            depth: parent.map_or(0, |parent| nodes[parent].depth + 1),
            start_ns: facts[span].start_ns,
            duration_ns: facts[span].duration_ns,
            skew_ns: skews[span],
            critical_ns: critical_ns[span],
        });
        waiting.extend(by_start(&places.children[span]));
    }
    nodes
}

fn services<'a>(facts: &[Facts<'a>], critical_ns: &[i64]) -> Vec<Service<'a>> {
    let mut by_start: Vec<usize> = (0..facts.len()).collect();
    by_start.sort_by_key(|&index| (facts[index].start_ns, index));
    let mut services: Vec<Service<'a>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for index in by_start {
        let fact = &facts[index];
        let place = *known.entry(fact.service).or_insert_with(|| {
            services.push(Service { name: fact.service, spans: 0, errors: 0, critical_ns: 0 });
            services.len() - 1
        });
        services[place].spans += 1;
        services[place].errors += u64::from(fact.is_error);
        services[place].critical_ns += critical_ns[index];
    }
    services
}

#[cfg(test)]
mod tests;
