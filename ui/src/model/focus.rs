//! What stays bright when something is selected: the whole way up and down.

use std::collections::HashSet;

use super::scene::Scene;
use super::view::Selection;

/// Indexes of cards and links.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    pub cards: HashSet<usize>,
    pub links: HashSet<usize>,
}

impl Focus {
    /// `None` when nothing that still exists is selected.
    pub fn of(scene: &Scene, selection: Option<&Selection>) -> Option<Self> {
        let mut focus = Self::default();
        match selection? {
            Selection::Node(id) => {
                let start = scene.cards.iter().position(|card| card.node.id == *id)?;
                focus.follow(scene, start, true);
                focus.follow(scene, start, false);
            }
            Selection::Edge(id) => {
                let link = scene.links.iter().position(|link| link.edge.id == *id)?;
                focus.links.insert(link);
                focus.follow(scene, scene.links[link].from, true);
                focus.follow(scene, scene.links[link].to, false);
            }
        }
        Some(focus)
    }

    fn follow(&mut self, scene: &Scene, start: usize, up: bool) {
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(card) = open.pop() {
            for (index, link) in scene.links.iter().enumerate() {
                let (near, far) = if up { (link.to, link.from) } else { (link.from, link.to) };
                if near == card {
                    self.links.insert(index);
                    if seen.insert(far) {
                        open.push(far);
                    }
                }
            }
        }
        self.cards.extend(seen);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sidelight_api::graph::{Edge, Graph, Node};

    use super::*;
    use crate::model::view::View;

    /// 0 → 1 → 2, 0 → 3, 4 → 2
    fn scene() -> Scene {
        let node = |i: usize| -> Node {
            serde_json::from_str(&format!(
                r#"{{"id":"{i}","nodeType":"app","cluster":"c","namespace":"n","app":"a{i}","healthData":null}}"#
            ))
            .unwrap()
        };
        let edge = |(a, b): (usize, usize)| -> Edge {
            serde_json::from_str(&format!(
                r#"{{"id":"{a}-{b}","source":"{a}","target":"{b}","traffic":{{"protocol":"http","rates":{{}}}}}}"#
            ))
            .unwrap()
        };
        let mut graph: Graph =
            serde_json::from_str(r#"{"timestamp":0,"duration":60,"graphType":"app","elements":{"nodes":[],"edges":[]}}"#)
                .unwrap();
        graph.elements.nodes = (0..5).map(|i| sidelight_api::graph::NodeElement { data: node(i) }).collect();
        graph.elements.edges =
            [(0, 1), (1, 2), (0, 3), (4, 2)].map(|e| sidelight_api::graph::EdgeElement { data: edge(e) }).to_vec();
        Scene::of(&graph, &View { idle: true, ..View::default() })
    }

    fn cards(selection: Selection) -> Vec<usize> {
        let mut cards: Vec<usize> = Focus::of(&scene(), Some(&selection)).unwrap().cards.into_iter().collect();
        cards.sort_unstable();
        cards
    }

    #[test]
    fn keeps_the_way_up_and_down() {
        assert_eq!(cards(Selection::Node("1".into())), [0, 1, 2]);
        assert_eq!(cards(Selection::Edge("0-3".into())), [0, 3]);
        assert_eq!(cards(Selection::Node("2".into())), [0, 1, 2, 4]);
    }

    #[test]
    fn what_is_gone_fades_nothing() {
        assert_eq!(Focus::of(&scene(), Some(&Selection::Node("9".into()))), None);
        assert_eq!(Focus::of(&scene(), None), None);
    }
}
