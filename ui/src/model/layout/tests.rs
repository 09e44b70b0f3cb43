//! The layout on Bookinfo, on circles, on random meshes, and from refresh to refresh.

#![allow(clippy::unwrap_used)]

use super::keep::sound;
use super::*;

fn card(id: &str, parent: Option<usize>) -> CardSpec {
    CardSpec { id: id.to_owned(), w: 184.0, h: 60.0, parent }
}

fn namespace(id: &str) -> BoxSpec {
    BoxSpec { id: id.to_owned(), kind: BoxKind::Namespace, parent: None }
}

/// istio-system: gateway; bookinfo: productpage → details, reviews v1 v2 v3 (in a box) → ratings
fn bookinfo() -> Plan {
    let app = BoxSpec { id: "reviews".into(), kind: BoxKind::App, parent: Some(1) };
    Plan {
        boxes: vec![namespace("istio-system"), namespace("bookinfo"), app],
        cards: vec![
            card("gateway", Some(0)),
            card("productpage", Some(1)),
            card("details", Some(1)),
            card("reviews-v1", Some(2)),
            card("reviews-v2", Some(2)),
            card("reviews-v3", Some(2)),
            card("ratings", Some(1)),
        ],
        edges: vec![(0, 1), (1, 2), (1, 3), (1, 4), (1, 5), (4, 6), (5, 6)],
        roomy: false,
    }
}

#[test]
fn bookinfo_flows_down_in_rows() {
    let placement = place(&bookinfo(), Direction::Down);
    let y: Vec<f64> = placement.cards.iter().map(|rect| rect.y).collect();
    assert!(y[0] < y[1] && y[1] < y[2]);
    assert_eq!(y[2], y[3], "details stands in the row of the reviews, though those are in a box");
    assert_eq!((y[3], y[3]), (y[4], y[5]));
    assert!(y[6] > y[5]);
    let x: Vec<f64> = placement.cards.iter().map(|rect| rect.x).collect();
    assert_eq!((x[4] - x[3], x[5] - x[4]), (208.0, 208.0), "versions stand side by side in order");
    assert!(
        (placement.cards[0].center().x - placement.cards[1].center().x).abs() < 1.0,
        "the gateway stands above what it calls"
    );
}

#[test]
fn twins_stand_as_they_were_handed_in() {
    let cards = ["service", "v1", "v2", "v3", "v4"].map(|id| card(id, None)).to_vec();
    let plan = Plan { cards, edges: vec![(0, 3), (0, 1), (0, 4), (0, 2)], ..Plan::default() };
    let placement = place(&plan, Direction::Down);
    assert!(placement.cards[1..].windows(2).all(|pair| pair[0].x < pair[1].x), "{:?}", placement.cards);
}

#[test]
fn nothing_overlaps_and_boxes_hold_their_cards() {
    for direction in [Direction::Down, Direction::Right] {
        let plan = bookinfo();
        let placement = place(&plan, direction);
        assert!(sound(&plan, &placement));
        for (card, rect) in plan.cards.iter().zip(&placement.cards) {
            let own = placement.boxes[card.parent.unwrap()];
            assert_eq!(own.union(rect), own, "{}", card.id);
        }
    }
}

#[test]
fn left_to_right_is_wider_than_high() {
    let down = place(&bookinfo(), Direction::Down).bounds();
    let right = place(&bookinfo(), Direction::Right).bounds();
    assert!(right.w > right.h && right.w / right.h > down.w / down.h);
}

#[test]
fn long_edges_get_lanes() {
    let plan = Plan {
        cards: vec![card("a", None), card("b", None), card("c", None)],
        boxes: vec![],
        edges: vec![(0, 1), (1, 2), (0, 2), (2, 0)],
        roomy: false,
    };
    let placement = place(&plan, Direction::Down);
    assert_eq!(placement.bends.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 1]);
    let (lane, b) = (placement.bends[2][0], placement.cards[1]);
    assert!(!b.grown(4.0).contains(lane), "{lane:?} {b:?}");
}

#[test]
fn many_lonely_cards_stand_in_a_block() {
    let cards: Vec<CardSpec> = (0..30).map(|i| card(&i.to_string(), None)).collect();
    let bounds = place(&Plan { cards, ..Plan::default() }, Direction::Down).bounds();
    assert!(bounds.w < 2200.0 && bounds.h < 1600.0, "{bounds:?}");
}

#[test]
fn random_meshes_never_overlap() {
    let mut seed = 11u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for nodes in [3, 12, 40, 120, 400] {
        let boxes: Vec<BoxSpec> = (0..nodes / 12 + 1).map(|b| namespace(&format!("ns{b}"))).collect();
        let cards = (0..nodes).map(|i| card(&i.to_string(), Some(next(boxes.len())))).collect();
        let edges = (0..nodes * 5 / 4).map(|_| (next(nodes), next(nodes))).filter(|(a, b)| a != b).collect();
        let plan = Plan { cards, boxes, edges, roomy: nodes > 60 };
        for direction in [Direction::Down, Direction::Right] {
            let placement = place(&plan, direction);
            assert!(sound(&plan, &placement), "{nodes} nodes");
            assert!(placement.cards.iter().all(|rect| rect.x.is_finite() && rect.y.is_finite()));
        }
    }
}

#[test]
fn refresh_moves_nothing() {
    let mut keeper = Keeper::default();
    let (first, kept) = keeper.place(&bookinfo(), Direction::Down);
    assert!(!kept);
    let mut fewer = bookinfo();
    fewer.edges.pop();
    let (second, kept) = keeper.place(&fewer, Direction::Down);
    assert!(kept);
    assert_eq!(first.cards, second.cards);
}

#[test]
fn a_card_that_comes_back_finds_its_place_free() {
    let mut keeper = Keeper::default();
    let (first, _) = keeper.place(&bookinfo(), Direction::Down);
    let mut without = bookinfo();
    without.cards.pop();
    without.edges.truncate(5);
    let (second, _) = keeper.place(&without, Direction::Down);
    assert_eq!(first.cards[..6], second.cards[..]);
    let (third, kept) = keeper.place(&bookinfo(), Direction::Down);
    assert!(kept);
    assert_eq!(first.cards, third.cards);
}

#[test]
fn a_newcomer_takes_a_free_place_under_its_caller() {
    let mut keeper = Keeper::default();
    let (first, _) = keeper.place(&bookinfo(), Direction::Down);
    let mut more = bookinfo();
    more.cards.push(card("mongodb", Some(1)));
    more.edges.push((6, 7));
    let (second, kept) = keeper.place(&more, Direction::Down);
    assert!(kept);
    assert_eq!(first.cards[..], second.cards[..7]);
    assert!(second.cards[7].y > second.cards[6].bottom());
    assert!(second.boxes[1].bottom() > first.boxes[1].bottom());
}

#[test]
fn another_direction_is_a_fresh_layout() {
    let mut keeper = Keeper::default();
    keeper.place(&bookinfo(), Direction::Down);
    assert!(!keeper.place(&bookinfo(), Direction::Right).1);
}
