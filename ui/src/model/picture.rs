//! Scene, placement and routes together: all that is drawn.

use std::collections::HashMap;

use sidelight_api::graph::BoxBy;

use super::camera::Camera;
use super::format;
use super::geometry::Rect;
use super::layout::{BoxKind, BoxSpec, CardSpec, Keeper, Placement, Plan, place};
use super::measure;
use super::route::{Route, Stroke, routes, width};
use super::scene::{Link, Scene, Tone};
use super::view::{Direction, EdgeLabel, View};

pub const CARD_W: f64 = 184.0;
pub const CARD_H: f64 = 60.0;
const PILL_FONT: f64 = 11.0;
/// Graphs of more cards than this are mostly seen from far away.
const ROOMY_CARDS: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub scene: Scene,
    pub placement: Placement,
    pub routes: Vec<Route>,
    /// What is written on each link.
    pub pills: Vec<Pill>,
    card_index: HashMap<String, usize>,
    link_index: HashMap<String, usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pill {
    pub text: String,
    pub lock: bool,
    pub width: f64,
}

impl Picture {
    /// Places `scene`; the flag says whether what was there before stayed where it was.
    pub fn of(scene: Scene, view: &View, direction: Direction, keeper: &mut Keeper) -> (Self, bool) {
        let plan = plan(&scene);
        let (placement, kept) = keeper.place(&plan, direction);
        let pills: Vec<Pill> = scene.links.iter().map(|link| pill(link, view)).collect();
        let strokes: Vec<Stroke> = scene.links.iter().zip(&pills).map(|(link, pill)| stroke(&scene, link, pill)).collect();
        let routes = routes(&plan, &placement, &strokes);
        let card_index = scene.cards.iter().enumerate().map(|(i, card)| (card.node.id.clone(), i)).collect();
        let link_index = scene.links.iter().enumerate().map(|(i, link)| (link.edge.id.clone(), i)).collect();
        (Self { scene, placement, routes, pills, card_index, link_index }, kept)
    }

    pub fn card(&self, id: &str) -> Option<usize> {
        self.card_index.get(id).copied()
    }

    pub fn link(&self, id: &str) -> Option<usize> {
        self.link_index.get(id).copied()
    }
}

/// The direction in which the drawing gets larger in the window.
pub fn better_direction(scene: &Scene, window: Rect) -> Direction {
    let plan = plan(scene);
    let zoom = |direction| {
        let bounds = place(&plan, direction).bounds();
        Camera::fit(bounds, window).zoom
    };
    // Top down is the habit; the other must be worth it.
    if zoom(Direction::Right) > zoom(Direction::Down) * 1.08 { Direction::Right } else { Direction::Down }
}

pub fn plan(scene: &Scene) -> Plan {
    let cards = scene.cards.iter().map(|card| CardSpec { id: card.node.id.clone(), w: CARD_W, h: CARD_H, parent: card.parent });
    let boxes = scene.groups.iter().map(|group| BoxSpec {
        id: group.id.clone(),
        kind: if group.by == BoxBy::App { BoxKind::App } else { BoxKind::Namespace },
        parent: group.parent,
    });
    Plan {
        cards: cards.collect(),
        boxes: boxes.collect(),
        edges: scene.links.iter().map(|link| (link.from, link.to)).collect(),
        roomy: scene.cards.len() > ROOMY_CARDS,
    }
}

/// How far the health ring reaches out of the card's border.
pub fn ring(tone: Tone) -> f64 {
    match tone {
        Tone::Failing => 4.5,
        Tone::Degraded => 1.0,
        Tone::Healthy | Tone::Idle => 0.0,
    }
}

fn stroke(scene: &Scene, link: &Link, pill: &Pill) -> Stroke {
    // A byte is not a request: TCP links are drawn as wide as a request per kilobyte.
    let rate = if link.tcp { link.rate / 1000.0 } else { link.rate };
    Stroke {
        width: width(rate),
        pill_width: pill.width,
        from_ring: ring(scene.cards[link.from].tone),
        to_ring: ring(scene.cards[link.to].tone),
    }
}

pub fn stroke_width(link: &Link) -> f64 {
    width(if link.tcp { link.rate / 1000.0 } else { link.rate })
}

fn pill(link: &Link, view: &View) -> Pill {
    let text = number_on(link, view.label);
    let lock = view.locks && link.mtls > 0.0;
    let sign = if link.tone >= Tone::Degraded && link.tone == Tone::Failing { 15.0 } else { 0.0 };
    let locked = if lock { 14.0 } else { 0.0 };
    // In steps, so that a digit more or less does not move the pill.
    let letters = (measure::width(&text, PILL_FONT) / 8.0).ceil() * 8.0;
    Pill { width: letters + 14.0 + f64::max(sign, locked), text, lock }
}

/// The one number that an edge carries.
pub fn number_on(link: &Link, label: EdgeLabel) -> String {
    match label {
        _ if link.tcp => format::bytes_per_second(link.rate),
        EdgeLabel::Rate => format!("{} rps", format::rate(link.rate)),
        EdgeLabel::P95 => link.p95_ms.map_or("–".to_owned(), format::duration),
        EdgeLabel::Errors => format!("{} %", format::percent(link.errors)),
        EdgeLabel::Share => format!("{} %", format::percent(link.share)),
    }
}
