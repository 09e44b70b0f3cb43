//! Edges from access logs, for proxies that have no Istio metrics: each final entry is one request or connection, told by
//! the side that wrote it, with the labels that Istio's metrics would have.

mod labels;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use labels::{Direction, LogNode};

use self::labels::{Host, Told};
use super::Room;
use super::edge_rows::{ISTIO_BOUNDS, VALUE_MAX};
use crate::store::log::LogBlockBuilder;
use crate::store::{Edge, Histogram, Totals};

/// Different edges and steps that the lines of one block may make; what is beyond is not drawn, and counted.
pub const EDGES_PER_BLOCK_MAX: usize = 10_000;

/// What the log says of a finished request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogProtocol {
    #[default]
    Http,
    Grpc,
    Tcp,
}

/// The other side of a call, by the numbers of its names in the block's texts; 0 is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerIds {
    pub workload: u32,
    pub namespace: u32,
    pub service: u32,
    pub revision: u32,
    pub cluster: u32,
    pub principal: u32,
}

/// What tells calls apart: one edge for each. Texts are numbers of the block's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Start of the ten-second step in which it ended.
    pub step_s: i64,
    /// Of [`LogEdges::node`].
    pub node: u32,
    pub is_inbound: bool,
    pub protocol: LogProtocol,
    pub code: u16,
    pub grpc_status: u32,
    pub flags: u32,
    pub cluster: u32,
    pub route: u32,
    /// Only looked at where the cluster does not name the service.
    pub authority: u32,
    pub peer: PeerIds,
    /// From certificates, of the side that was called.
    pub peer_principal: u32,
    pub local_principal: u32,
}

/// What one request or connection adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallAmounts {
    pub duration_us: Option<u64>,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// The edges of the lines of one block.
#[derive(Default)]
pub struct LogEdges {
    calls: HashMap<CallKey, Sum, ahash::RandomState>,
    nodes: Vec<Arc<LogNode>>,
    node_numbers: HashMap<Arc<LogNode>, u32, ahash::RandomState>,
    /// Of a cluster and a route: whether only the request's host tells where it went, and whether the route has a meaning.
    meanings: HashMap<(u32, u32), (bool, bool), ahash::RandomState>,
    /// Requests and connections that found no room.
    refused: u64,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    requests: u64,
    buckets: [u64; ISTIO_BOUNDS.len() + 1],
    duration_ms: f64,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Edges with what they carried, by the start of their step.
pub type AddedEdges = Vec<(i64, Arc<Edge>, Totals)>;

impl LogEdges {
    /// The number of a proxy in this block. Its workers have a stream each, and are one.
    pub fn node(&mut self, node: &Arc<LogNode>) -> u32 {
        let next = self.nodes.len() as u32;
        let number = *self.node_numbers.entry(Arc::clone(node)).or_insert(next);
        if number == next {
            self.nodes.push(Arc::clone(node));
        }
        number
    }

    /// Counts a request or connection that has ended.
    pub fn add(&mut self, mut key: CallKey, amounts: CallAmounts, texts: &LogBlockBuilder) {
        let (needs_authority, is_special_route) = *self.meanings.entry((key.cluster, key.route)).or_insert_with(|| {
            let (cluster, route) = (texts.string(key.cluster), texts.string(key.route));
            (Host::needs_authority(cluster, route), Host::is_special_route(route))
        });
        if !needs_authority || key.is_inbound {
            key.authority = 0;
        }
        // Of routes only those with a meaning tell calls apart.
        if !is_special_route {
            key.route = 0;
        }
        let is_full = self.calls.len() >= EDGES_PER_BLOCK_MAX;
        let sum = match self.calls.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                self.refused += 1;
                return;
            }
            Entry::Vacant(free) => free.insert(Sum::default()),
        };
        sum.requests += 1;
        if let Some(duration_us) = amounts.duration_us {
            let ms = duration_us as f64 / 1000.0;
            sum.buckets[ISTIO_BOUNDS.partition_point(|bound| *bound < ms)] += 1;
            sum.duration_ms += ms;
        }
        sum.received_bytes = with(sum.received_bytes, amounts.received_bytes);
        sum.sent_bytes = with(sum.sent_bytes, amounts.sent_bytes);
    }

    /// The edges, and how many requests are in none because the store's dictionary has no room.
    #[must_use]
    pub fn finish(self, texts: &LogBlockBuilder, room: Room<'_>) -> (AddedEdges, u64) {
        let (bounds, mut refused) = (Arc::<[f64]>::from(ISTIO_BOUNDS), self.refused);
        let (mut added, mut new) = (Vec::with_capacity(self.calls.len()), HashSet::new());
        for (key, sum) in &self.calls {
            let Some(node) = self.nodes.get(key.node as usize) else { continue };
            let labels = labels::labels(&told(key, node, texts));
            let edge = Edge::new(Arc::new(labels), Arc::clone(&bounds));
            if !new.contains(edge.hash()) && !(room.is_known)(&edge.labels) {
                if new.len() >= room.new_edges {
                    refused += sum.requests;
                    continue;
                }
                new.insert(*edge.hash());
            }
            added.push((key.step_s, Arc::new(edge), sum.totals(key.protocol, &bounds)));
        }
        (added, refused)
    }
}

/// Adds bytes, as far as numbers of a counter are believed: sums must not leave the databases' integers.
fn with(sum: u64, bytes: u64) -> u64 {
    const MAX: u64 = VALUE_MAX as u64;
    if bytes > MAX { sum } else { (sum + bytes).min(MAX) }
}

fn told<'a>(key: &CallKey, node: &'a LogNode, texts: &'a LogBlockBuilder) -> Told<'a> {
    let text = |id: u32| texts.string(id);
    Told {
        node,
        is_inbound: key.is_inbound,
        protocol: key.protocol,
        code: key.code,
        grpc_status: text(key.grpc_status),
        flags: text(key.flags),
        cluster: text(key.cluster),
        route: text(key.route),
        authority: text(key.authority),
        workload: text(key.peer.workload),
        namespace: text(key.peer.namespace),
        service: text(key.peer.service),
        revision: text(key.peer.revision),
        peer_cluster: text(key.peer.cluster),
        peer_identity: text(key.peer.principal),
        peer_principal: text(key.peer_principal),
        local_principal: text(key.local_principal),
    }
}

impl Sum {
    fn totals(&self, protocol: LogProtocol, bounds: &Arc<[f64]>) -> Totals {
        if protocol == LogProtocol::Tcp {
            return Totals {
                tcp_received_bytes: self.received_bytes,
                tcp_sent_bytes: self.sent_bytes,
                tcp_opened: self.requests,
                tcp_closed: self.requests,
                ..Totals::default()
            };
        }
        let duration = Histogram { bounds: Arc::clone(bounds), counts: self.buckets.to_vec(), sum: self.duration_ms };
        Totals {
            requests: self.requests,
            duration,
            request_bytes: self.received_bytes as f64,
            response_bytes: self.sent_bytes as f64,
            ..Totals::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EdgeLabels;

    const ROOM: Room<'static> = Room { is_known: &|_| false, new_edges: 10 };

    fn node() -> Arc<LogNode> {
        let word = |text: &str| Arc::from(text);
        Arc::new(LogNode {
            workload: word("front"),
            namespace: word("default"),
            service: word("front"),
            revision: word("latest"),
            app: word(""),
            version: word(""),
            cluster: word("Kubernetes"),
        })
    }

    #[test]
    fn requests_add_up_by_what_tells_them_apart() {
        let (mut texts, mut edges) = (LogBlockBuilder::new(), LogEdges::default());
        let node = [edges.node(&node()), edges.node(&node())][1];
        let key = CallKey { step_s: 10, node, code: 200, cluster: texts.intern(b"web"), ..CallKey::default() };
        let amounts = CallAmounts { duration_us: Some(7_000), received_bytes: 10, sent_bytes: 100 };
        // Neither the host nor the route matters where the cluster names the service.
        let (authority, route) = (texts.intern(b"shop.example"), texts.intern(b"default"));
        edges.add(key, amounts, &texts);
        edges.add(CallKey { authority, route, ..key }, amounts, &texts);
        edges.add(CallKey { code: 503, ..key }, CallAmounts { duration_us: None, ..amounts }, &texts);
        let (mut added, refused) = edges.finish(&texts, ROOM);
        added.sort_by_key(|(_, _, totals)| totals.requests);
        assert_eq!((added.len(), refused), (2, 0));
        let (step_s, edge, totals) = &added[1];
        assert_eq!((*step_s, totals.requests, totals.duration.count(), totals.duration.sum), (10, 2, 2, 14.0));
        assert_eq!((totals.request_bytes, totals.response_bytes, totals.duration.counts[3]), (20.0, 200.0, 2));
        assert_eq!((&*edge.labels.destination_service_name, &*edge.labels.telemetry), ("web", "logs"));
        assert_eq!((added[0].2.requests, added[0].2.duration.count()), (1, 0));
    }

    #[test]
    fn connections_count_bytes() {
        let (texts, mut edges) = (LogBlockBuilder::new(), LogEdges::default());
        let node = edges.node(&node());
        let key = CallKey { node, protocol: LogProtocol::Tcp, ..CallKey::default() };
        edges.add(key, CallAmounts { duration_us: Some(1), received_bytes: 3, sent_bytes: 4 }, &texts);
        let (added, _) = edges.finish(&texts, ROOM);
        let expected = Totals { tcp_received_bytes: 3, tcp_sent_bytes: 4, tcp_opened: 1, tcp_closed: 1, ..Totals::default() };
        assert_eq!((&added[0].2, &*added[0].1.labels.response_code), (&expected, ""));
    }

    #[test]
    fn bytes_that_no_connection_can_carry_are_not_believed() {
        let (texts, mut edges) = (LogBlockBuilder::new(), LogEdges::default());
        let node = edges.node(&node());
        let key = CallKey { node, protocol: LogProtocol::Tcp, ..CallKey::default() };
        for received_bytes in [1, 1 << 62, u64::MAX, 2] {
            edges.add(key, CallAmounts { duration_us: None, received_bytes, sent_bytes: 1 << 53 }, &texts);
        }
        let (added, _) = edges.finish(&texts, ROOM);
        assert_eq!((added[0].2.tcp_received_bytes, added[0].2.tcp_sent_bytes, added[0].2.tcp_closed), (3, 1 << 53, 4));
    }

    #[test]
    fn a_full_dictionary_takes_what_it_has() {
        let texts = LogBlockBuilder::new();
        let counted = |calls: [(u16, i64); 3], new_edges| {
            let mut edges = LogEdges::default();
            let node = edges.node(&node());
            for (code, step_s) in calls {
                edges.add(CallKey { node, code, step_s, ..CallKey::default() }, CallAmounts::default(), &texts);
            }
            let is_known = |labels: &EdgeLabels| &*labels.response_code == "200";
            let (added, refused) = edges.finish(&texts, Room { is_known: &is_known, new_edges });
            (added.len(), refused)
        };
        // One new edge, in two steps.
        assert_eq!(counted([(200, 0), (404, 0), (404, 10)], 1), (3, 0));
        assert_eq!(counted([(200, 0), (404, 0), (404, 10)], 0), (1, 2));
    }
}
