//! Links around cards, ports side by side, pills that cover nothing.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::layout::{CardSpec, place};

fn card(id: &str) -> CardSpec {
    CardSpec { id: id.to_owned(), w: 184.0, h: 60.0, parent: None }
}

fn drawn(cards: usize, edges: &[(usize, usize)], direction: Direction) -> (Placement, Vec<Route>) {
    let plan =
        Plan { cards: (0..cards).map(|i| card(&i.to_string())).collect(), boxes: vec![], edges: edges.to_vec(), roomy: false };
    let placement = place(&plan, direction);
    let strokes = vec![Stroke { width: 2.0, pill_width: 70.0, from_ring: 0.0, to_ring: 5.0 }; edges.len()];
    let routes = routes(&plan, &placement, &strokes);
    (placement, routes)
}

#[test]
fn a_link_leaves_below_and_arrives_above_at_the_ring() {
    let (placement, routes) = drawn(2, &[(0, 1)], Direction::Down);
    let trace = &routes[0].trace;
    assert_eq!(trace.points[0].y, placement.cards[0].bottom());
    assert_eq!(trace.points.last().unwrap().y, placement.cards[1].y - 5.0);
    assert_eq!(routes[0].path, "M92.0 60.0C92.0 105.2 92.0 94.6 92.0 139.8");
}

#[test]
fn links_at_one_side_stand_apart_in_order() {
    let (_, routes) = drawn(4, &[(0, 1), (0, 2), (0, 3)], Direction::Down);
    let mut x: Vec<f64> = routes.iter().map(|route| route.trace.points[0].x).collect();
    x.sort_by(f64::total_cmp);
    assert_eq!((x[1] - x[0], x[2] - x[1]), (28.0, 28.0));
}

#[test]
fn links_do_not_cross_cards_nor_pills_each_other() {
    let edges = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (3, 0), (1, 3), (0, 4), (4, 3), (5, 3), (0, 5), (2, 2)];
    for direction in [Direction::Down, Direction::Right] {
        let (placement, routes) = drawn(6, &edges, direction);
        for (route, (from, to)) in routes.iter().zip(edges) {
            for point in &route.trace.points {
                let hit = placement.cards.iter().enumerate().find(|(i, rect)| *i != from && *i != to && rect.contains(*point));
                assert_eq!(hit, None, "{from} → {to}, {direction:?}");
            }
        }
        let pills: Vec<Rect> =
            routes.iter().filter_map(|route| route.pill).map(|at| Rect::around(at, 70.0, PILL_HEIGHT)).collect();
        assert!(pills.len() >= edges.len() - 2, "{} pills seated, {direction:?}", pills.len());
        for (i, pill) in pills.iter().enumerate() {
            assert!(placement.cards.iter().all(|rect| !rect.meets(pill)));
            assert!(pills[i + 1..].iter().all(|other| !other.meets(pill)));
        }
    }
}

#[test]
fn width_grows_with_the_logarithm_of_the_rate() {
    assert_eq!(width(0.0), 1.2);
    assert!((width(9.0) - 2.45).abs() < 1e-9);
    assert!((width(99.0) - 3.7).abs() < 1e-9);
}
