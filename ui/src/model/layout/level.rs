//! One level: vertices in layers, layers in an order with few crossings, and straight edges where possible.

use rust_sugiyama::configure::{Config, CrossingMinimization, RankingType};
use rust_sugiyama::from_vertices_and_edges;

use super::Flow;
use super::rank::{acyclic, ranks};
use super::straighten::{Wish, settle};

/// Room of an edge that passes through a layer.
const LANE: f64 = 20.0;
/// Rounds of moving layers towards their neighbours; more change nothing visible.
const ROUNDS: usize = 6;
/// Straightness of edges counts more the longer they are (Gansner et al., "A technique for drawing directed graphs").
const WEIGHT_LANE: f64 = 8.0;
const WEIGHT_MIXED: f64 = 2.0;
/// Vertices beyond this many are not tried for fewer crossings by swapping neighbours, which is slow.
const TRANSPOSE_MAX: usize = 60;

#[derive(Clone, Copy, Debug)]
pub struct Vertex {
    pub size: Flow,
    pub lead: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct LevelEdge {
    pub from: usize,
    pub to: usize,
    /// Where the edge leaves and arrives, across, from the middle of the vertex.
    pub from_port: f64,
    pub to_port: f64,
}

pub struct Level {
    pub vertices: Vec<Vertex>,
    pub edges: Vec<LevelEdge>,
    pub gap_along: f64,
    pub gap_across: f64,
}

pub struct Arranged {
    pub starts: Vec<Flow>,
    pub extent: Flow,
    /// Per edge, in its own direction.
    pub bends: Vec<Vec<Flow>>,
}

/// A vertex, or the place where an edge passes through a layer.
struct Node {
    size: f64,
    gap: f64,
    rank: usize,
    lane: bool,
    middle: f64,
}

struct Joint {
    upper: usize,
    lower: usize,
    upper_port: f64,
    lower_port: f64,
    weight: f64,
}

struct Layers {
    nodes: Vec<Node>,
    joints: Vec<Joint>,
    /// Per edge, its lanes from the upper end to the lower one, and whether the edge runs upwards.
    lanes: Vec<(Vec<usize>, bool)>,
    rows: Vec<Vec<usize>>,
}

impl Level {
    pub fn arrange(&self) -> Arranged {
        let mut layers = self.layers();
        layers.order();
        self.add_lonely(&mut layers);
        layers.straighten();
        self.finish(&layers)
    }

    fn joined(&self) -> Vec<bool> {
        let mut joined = vec![false; self.vertices.len()];
        for edge in &self.edges {
            joined[edge.from] = true;
            joined[edge.to] = true;
        }
        joined
    }

    fn layers(&self) -> Layers {
        let pairs: Vec<(usize, usize)> = self.edges.iter().map(|e| (e.from, e.to)).collect();
        let turned = acyclic(self.vertices.len(), &pairs);
        let forward: Vec<(usize, usize)> = turned.iter().map(|(from, to, _)| (*from, *to)).collect();
        let ranks = ranks(self.vertices.len(), &forward);
        let nodes = self.vertices.iter().zip(&ranks);
        let nodes =
            nodes.map(|(v, rank)| Node { size: v.size.across, gap: self.gap_across, rank: *rank, lane: false, middle: 0.0 });
        let mut layers = Layers { nodes: nodes.collect(), joints: Vec::new(), lanes: Vec::new(), rows: Vec::new() };
        for (edge, (from, to, turned)) in self.edges.iter().zip(turned) {
            let ports = if turned { (edge.to_port, edge.from_port) } else { (edge.from_port, edge.to_port) };
            let lanes = layers.add_edge(from, to, ports);
            layers.lanes.push((lanes, turned));
        }
        layers
    }

    /// What has no edges fills up the last layer, then layers of its own.
    fn add_lonely(&self, layers: &mut Layers) {
        let joined = self.joined();
        let lonely: Vec<usize> = (0..self.vertices.len()).filter(|v| !joined[*v]).collect();
        if lonely.is_empty() {
            return;
        }
        let width = |row: &[usize], nodes: &[Node]| row.iter().map(|n| nodes[*n].size + nodes[*n].gap).sum::<f64>();
        let widest = layers.rows.iter().map(|row| width(row, &layers.nodes)).fold(0.0, f64::max);
        let all = width(&lonely, &layers.nodes);
        // Alone, they stand in a block about twice as wide as high; a handful stands in one row.
        let limit = if lonely.len() <= 5 { widest.max(all) } else { widest.max((all * 160.0 * 2.0).sqrt()) };
        for vertex in lonely {
            let fits = layers.rows.last().is_some_and(|row| width(row, &layers.nodes) + layers.nodes[vertex].size <= limit);
            if !fits {
                layers.rows.push(Vec::new());
            }
            let rank = layers.rows.len() - 1;
            let after = layers.rows[rank].last().map_or(0.0, |last| {
                let last = &layers.nodes[*last];
                last.middle + (last.size + last.gap + layers.nodes[vertex].size + layers.nodes[vertex].gap) / 2.0
            });
            layers.nodes[vertex].rank = rank;
            layers.nodes[vertex].middle = after;
            layers.rows[rank].push(vertex);
        }
    }

    fn finish(&self, layers: &Layers) -> Arranged {
        let left = layers.nodes.iter().map(|n| n.middle - n.size / 2.0).fold(f64::INFINITY, f64::min);
        let right = layers.nodes.iter().map(|n| n.middle + n.size / 2.0).fold(f64::NEG_INFINITY, f64::max);
        let mut starts = vec![Flow::default(); self.vertices.len()];
        let mut middles = Vec::with_capacity(layers.rows.len());
        let mut along = 0.0;
        for row in &layers.rows {
            let own = || row.iter().filter(|n| !layers.nodes[**n].lane);
            let lead = own().map(|n| self.vertices[*n].lead).fold(0.0, f64::max);
            let thickness = own().map(|n| lead - self.vertices[*n].lead + self.vertices[*n].size.along).fold(0.0, f64::max);
            for n in own() {
                let across = layers.nodes[*n].middle - layers.nodes[*n].size / 2.0 - left;
                starts[*n] = Flow { across, along: along + lead - self.vertices[*n].lead };
            }
            middles.push(along + thickness / 2.0);
            along += thickness + self.gap_along;
        }
        let bends = layers.lanes.iter().map(|(lanes, turned)| {
            let mut points: Vec<Flow> = lanes
                .iter()
                .map(|n| Flow { across: layers.nodes[*n].middle - left, along: middles[layers.nodes[*n].rank] })
                .collect();
            if *turned {
                points.reverse();
            }
            points
        });
        Arranged {
            starts,
            extent: Flow { across: right - left, along: (along - self.gap_along).max(0.0) },
            bends: bends.collect(),
        }
    }
}

impl Layers {
    /// Adds a lane in every layer between the ends.
    fn add_edge(&mut self, from: usize, to: usize, ports: (f64, f64)) -> Vec<usize> {
        let (first, last) = (self.nodes[from].rank, self.nodes[to].rank);
        let mut lanes = Vec::new();
        let mut upper = from;
        let mut upper_port = ports.0;
        for rank in first + 1..last {
            let lane = self.nodes.len();
            self.nodes.push(Node { size: LANE, gap: LANE, rank, lane: true, middle: 0.0 });
            let weight = if upper == from { WEIGHT_MIXED } else { WEIGHT_LANE };
            self.joints.push(Joint { upper, lower: lane, upper_port, lower_port: 0.0, weight });
            lanes.push(lane);
            upper = lane;
            upper_port = 0.0;
        }
        let weight = if lanes.is_empty() { 1.0 } else { WEIGHT_MIXED };
        self.joints.push(Joint { upper, lower: to, upper_port, lower_port: ports.1, weight });
        lanes
    }

    /// Takes from the layered layout the order inside each layer, and a first guess of the places.
    fn order(&mut self) {
        let mut joined = vec![false; self.nodes.len()];
        let mut edges: Vec<(u32, u32)> = Vec::with_capacity(self.joints.len());
        for joint in &self.joints {
            joined[joint.upper] = true;
            joined[joint.lower] = true;
            edges.push((joint.upper as u32, joint.lower as u32));
        }
        edges.sort_unstable();
        edges.dedup();
        // The library answers with positions in the list, not with the numbers handed in: so those must be 0..n.
        let kept: Vec<usize> = (0..self.nodes.len()).filter(|n| joined[*n]).collect();
        let mut number = vec![0u32; self.nodes.len()];
        for (i, n) in kept.iter().enumerate() {
            number[*n] = i as u32;
        }
        let vertices: Vec<(u32, (f64, f64))> =
            kept.iter().enumerate().map(|(i, n)| (i as u32, (self.nodes[*n].size, 10.0))).collect();
        let edges: Vec<(u32, u32)> = edges.into_iter().map(|(a, b)| (number[a as usize], number[b as usize])).collect();
        let config = Config {
            ranking_type: RankingType::Up,
            c_minimization: CrossingMinimization::Barycenter,
            transpose: kept.len() <= TRANSPOSE_MAX,
            vertex_spacing: 24.0,
            ..Config::default()
        };
        let mut parts = if kept.is_empty() { Vec::new() } else { from_vertices_and_edges(&vertices, &edges, &config) };
        // Parts that do not meet stand side by side, in the order in which they were handed in.
        parts.sort_by_key(|(places, _, _)| places.iter().map(|(i, _)| *i).min());
        let mut start = 0.0;
        for (places, _, _) in parts {
            let mut end = start;
            for (i, (x, _)) in places {
                let node = &mut self.nodes[kept[i]];
                node.middle = start + x;
                end = f64::max(end, node.middle + node.size);
            }
            start = end + 400.0;
        }
        let last = kept.iter().map(|n| self.nodes[*n].rank).max();
        self.rows = vec![Vec::new(); last.map_or(0, |last| last + 1)];
        for n in kept {
            self.rows[self.nodes[n].rank].push(n);
        }
        for row in &mut self.rows {
            row.sort_by(|a, b| self.nodes[*a].middle.total_cmp(&self.nodes[*b].middle).then(a.cmp(b)));
        }
        self.line_up_twins();
    }

    /// Vertices with the same neighbours may change places without any new crossing: they stand as they were handed in.
    fn line_up_twins(&mut self) {
        let mut neighbours: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for joint in &self.joints {
            neighbours[joint.upper].push(joint.lower);
            neighbours[joint.lower].push(joint.upper);
        }
        for list in &mut neighbours {
            list.sort_unstable();
            list.dedup();
        }
        for row in &mut self.rows {
            for at in 0..row.len() {
                let twin = |n: usize| neighbours[n] == neighbours[row[at]];
                let least = (at..row.len()).filter(|i| twin(row[*i])).min_by_key(|i| row[*i]);
                if let Some(least) = least.filter(|least| *least != at) {
                    let (a, b) = (self.nodes[row[at]].middle, self.nodes[row[least]].middle);
                    self.nodes[row[at]].middle = b;
                    self.nodes[row[least]].middle = a;
                    row.swap(at, least);
                }
            }
        }
    }

    fn straighten(&mut self) {
        for row in 0..self.rows.len() {
            self.settle_row(row, |_| true, true);
        }
        for _ in 0..ROUNDS {
            for row in 1..self.rows.len() {
                self.settle_row(row, |above| above, false);
            }
            for row in (0..self.rows.len().saturating_sub(1)).rev() {
                self.settle_row(row, |above| !above, false);
            }
        }
        // Both neighbours at last, so that neither end pulls alone.
        for row in 0..self.rows.len() {
            self.settle_row(row, |_| true, false);
        }
    }

    /// Moves one row towards the neighbours that `counts` (asked with: is it above?), or only apart when `stay`.
    fn settle_row(&mut self, row: usize, counts: impl Fn(bool) -> bool, stay: bool) {
        let mut pull = vec![(0.0, 0.0); self.nodes.len()];
        if !stay {
            for joint in &self.joints {
                if counts(true) && self.nodes[joint.lower].rank == row {
                    let wish = self.nodes[joint.upper].middle + joint.upper_port - joint.lower_port;
                    pull[joint.lower].0 += wish * joint.weight;
                    pull[joint.lower].1 += joint.weight;
                }
                if counts(false) && self.nodes[joint.upper].rank == row {
                    let wish = self.nodes[joint.lower].middle + joint.lower_port - joint.upper_port;
                    pull[joint.upper].0 += wish * joint.weight;
                    pull[joint.upper].1 += joint.weight;
                }
            }
        }
        let wishes: Vec<Wish> = self.rows[row]
            .iter()
            .map(|n| {
                let node = &self.nodes[*n];
                let (sum, weight) = pull[*n];
                let (middle, weight) = if weight > 0.0 { (sum / weight, weight) } else { (node.middle, 0.05) };
                Wish { size: node.size, middle, weight, gap: node.gap }
            })
            .collect();
        for (n, middle) in self.rows[row].clone().into_iter().zip(settle(&wishes)) {
            self.nodes[n].middle = middle;
        }
    }
}
