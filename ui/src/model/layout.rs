//! Places cards and boxes: inside each box by layers, then the boxes themselves.
//!
//! Works in two directions of its own: "along" is where traffic flows (down, or to the right), "across" is the other.

mod keep;
mod level;
mod rank;
mod straighten;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::geometry::{Point, Rect};
use super::view::Direction;
pub use keep::Keeper;
use level::{Level, LevelEdge, Vertex};

/// Between the layers inside a box, top down and left to right: room for the pills.
const GAP_DOWN: f64 = 92.0;
const GAP_RIGHT: f64 = 118.0;
/// Between the layers of boxes.
const GAP_BOXES_DOWN: f64 = 64.0;
const GAP_BOXES_RIGHT: f64 = 96.0;

#[derive(Clone, Debug, PartialEq)]
pub struct CardSpec {
    pub id: String,
    pub w: f64,
    pub h: f64,
    /// Index of the box around it.
    pub parent: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxKind {
    /// Label at the top left.
    Namespace,
    /// Label inside at the bottom left, where no edge arrives.
    App,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BoxSpec {
    pub id: String,
    pub kind: BoxKind,
    /// Index of the box around it; must be before this one.
    pub parent: Option<usize>,
}

/// What is to be placed. Edges point from caller to called, by index of the cards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub cards: Vec<CardSpec>,
    pub boxes: Vec<BoxSpec>,
    pub edges: Vec<(usize, usize)>,
    /// Boxes get room for labels that are readable from far away.
    pub roomy: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub direction: Direction,
    pub cards: Vec<Rect>,
    pub boxes: Vec<Rect>,
    /// For each edge, points through which it goes around what stands between its ends.
    pub bends: Vec<Vec<Point>>,
}

impl Placement {
    pub fn bounds(&self) -> Rect {
        Rect::of_all(self.cards.iter().chain(&self.boxes).copied()).unwrap_or_default()
    }
}

/// Space inside a box, as left, top, right, bottom.
#[derive(Clone, Copy)]
pub(super) struct Padding {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl BoxKind {
    pub(super) fn padding(self, roomy: bool) -> Padding {
        match self {
            Self::Namespace if roomy => Padding { left: 48.0, top: 100.0, right: 48.0, bottom: 48.0 },
            Self::Namespace => Padding { left: 20.0, top: 38.0, right: 20.0, bottom: 20.0 },
            Self::App => Padding { left: 16.0, top: 16.0, right: 16.0, bottom: 32.0 },
        }
    }
}

/// Lays everything out afresh.
pub fn place(plan: &Plan, direction: Direction) -> Placement {
    let mut arranger = Arranger::new(plan, direction);
    arranger.arrange(None);
    arranger.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Item {
    Card(usize),
    Box(usize),
}

/// A place or a size in the layout's own directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flow {
    across: f64,
    along: f64,
}

struct Arranger<'a> {
    plan: &'a Plan,
    direction: Direction,
    size: HashMap<Item, Flow>,
    /// Start of each item inside its box, padding included.
    local: HashMap<Item, Flow>,
    /// From an item's start to its first card, along: items of one layer are aligned by their cards.
    lead: HashMap<Item, f64>,
    /// Points inside the box in whose level the edge runs.
    bends: Vec<Vec<Flow>>,
    /// That box.
    level_of: Vec<Option<usize>>,
}

impl<'a> Arranger<'a> {
    fn new(plan: &'a Plan, direction: Direction) -> Self {
        let mut size = HashMap::new();
        for (i, card) in plan.cards.iter().enumerate() {
            size.insert(Item::Card(i), to_flow(direction, card.w, card.h));
        }
        let edges = plan.edges.len();
        Self {
            plan,
            direction,
            size,
            local: HashMap::new(),
            lead: HashMap::new(),
            bends: vec![Vec::new(); edges],
            level_of: vec![None; edges],
        }
    }

    /// Arranges what is inside a box, innermost first.
    fn arrange(&mut self, parent: Option<usize>) {
        for inner in 0..self.plan.boxes.len() {
            if self.plan.boxes[inner].parent == parent {
                self.arrange(Some(inner));
            }
        }
        let items = self.children(parent);
        if items.is_empty() {
            return;
        }
        let (edges, owners) = self.level_edges(parent, &items);
        let vertices = items.iter().map(|item| self.vertex(*item)).collect();
        let gap_along = self.gap_along(&items);
        let gap_across = if self.direction == Direction::Down { 24.0 } else { 36.0 };
        let arranged = Level { vertices, edges, gap_along, gap_across }.arrange();

        let (pad, extent_pad) = self.flow_padding(parent);
        for (item, start) in items.iter().zip(&arranged.starts) {
            let at = Flow { across: start.across + pad.across, along: start.along + pad.along };
            self.local.insert(*item, at);
        }
        for (edge, bends) in owners.iter().zip(arranged.bends) {
            let shifted = bends.into_iter().map(|b| Flow { across: b.across + pad.across, along: b.along + pad.along });
            self.bends[*edge] = shifted.collect();
            self.level_of[*edge] = parent;
        }
        if let Some(own) = parent {
            let extent =
                Flow { across: arranged.extent.across + extent_pad.across, along: arranged.extent.along + extent_pad.along };
            self.size.insert(Item::Box(own), extent);
            let lead = if self.plan.boxes[own].kind == BoxKind::App { pad.along } else { 0.0 };
            self.lead.insert(Item::Box(own), lead);
        }
    }

    fn children(&self, parent: Option<usize>) -> Vec<Item> {
        // An empty box has no size and takes no room.
        let boxes = (0..self.plan.boxes.len())
            .filter(|b| self.plan.boxes[*b].parent == parent)
            .map(Item::Box)
            .filter(|item| self.size.contains_key(item));
        let cards = (0..self.plan.cards.len()).filter(|c| self.plan.cards[*c].parent == parent).map(Item::Card);
        boxes.chain(cards).collect()
    }

    fn vertex(&self, item: Item) -> Vertex {
        Vertex { size: self.size[&item], lead: self.lead.get(&item).copied().unwrap_or_default() }
    }

    fn gap_along(&self, items: &[Item]) -> f64 {
        let namespaces = items.iter().any(|item| matches!(item, Item::Box(b) if self.plan.boxes[*b].kind == BoxKind::Namespace));
        match (self.direction, namespaces) {
            (Direction::Down, false) => GAP_DOWN,
            (Direction::Right, false) => GAP_RIGHT,
            (Direction::Down, true) => GAP_BOXES_DOWN,
            (Direction::Right, true) => GAP_BOXES_RIGHT,
        }
    }

    /// The edges whose ends part at this level, and which of the plan's edges they are.
    fn level_edges(&self, parent: Option<usize>, items: &[Item]) -> (Vec<LevelEdge>, Vec<usize>) {
        let index: HashMap<Item, usize> = items.iter().enumerate().map(|(i, item)| (*item, i)).collect();
        let mut edges = Vec::new();
        let mut owners = Vec::new();
        for (number, (from, to)) in self.plan.edges.iter().enumerate() {
            let (Some(a), Some(b)) = (self.ancestor_below(*from, parent), self.ancestor_below(*to, parent)) else { continue };
            if a == b {
                continue;
            }
            if let (Some(u), Some(v)) = (index.get(&a), index.get(&b)) {
                edges.push(LevelEdge { from: *u, to: *v, from_port: self.port(*from, a), to_port: self.port(*to, b) });
                owners.push(number);
            }
        }
        (edges, owners)
    }

    /// The card itself or the box around it that stands directly inside `parent`.
    fn ancestor_below(&self, card: usize, parent: Option<usize>) -> Option<Item> {
        let mut item = Item::Card(card);
        let mut above = self.plan.cards[card].parent;
        while above != parent {
            let own = above?;
            item = Item::Box(own);
            above = self.plan.boxes[own].parent;
        }
        Some(item)
    }

    /// Where the card's middle is, across, seen from the middle of the item around it.
    fn port(&self, card: usize, item: Item) -> f64 {
        if item == Item::Card(card) {
            return 0.0;
        }
        let mut across = self.size[&Item::Card(card)].across / 2.0;
        let mut inner = Item::Card(card);
        let mut above = self.plan.cards[card].parent;
        while let Some(own) = above {
            across += self.local.get(&inner).map_or(0.0, |at| at.across);
            inner = Item::Box(own);
            if inner == item {
                break;
            }
            above = self.plan.boxes[own].parent;
        }
        across - self.size[&item].across / 2.0
    }

    /// Padding before the content, and padding in sum.
    fn flow_padding(&self, parent: Option<usize>) -> (Flow, Flow) {
        let Some(own) = parent else { return (Flow::default(), Flow::default()) };
        let pad = self.plan.boxes[own].kind.padding(self.plan.roomy);
        (to_flow(self.direction, pad.left, pad.top), to_flow(self.direction, pad.left + pad.right, pad.top + pad.bottom))
    }

    fn finish(self) -> Placement {
        let origin = |parent: Option<usize>| self.origin(parent);
        let rect = |item: Item, parent: Option<usize>| {
            let (Some(local), Some(size)) = (self.local.get(&item), self.size.get(&item)) else { return Rect::default() };
            let o = origin(parent);
            let at = to_xy(self.direction, Flow { across: o.across + local.across, along: o.along + local.along });
            let extent = to_xy(self.direction, *size);
            Rect::new(at.x, at.y, extent.x, extent.y)
        };
        let bends = self.bends.iter().zip(&self.level_of).map(|(bends, level)| {
            let o = origin(*level);
            bends.iter().map(|b| to_xy(self.direction, Flow { across: o.across + b.across, along: o.along + b.along })).collect()
        });
        Placement {
            direction: self.direction,
            cards: self.plan.cards.iter().enumerate().map(|(i, card)| rect(Item::Card(i), card.parent)).collect(),
            boxes: self.plan.boxes.iter().enumerate().map(|(i, own)| rect(Item::Box(i), own.parent)).collect(),
            bends: bends.collect(),
        }
    }

    fn origin(&self, parent: Option<usize>) -> Flow {
        let mut sum = Flow::default();
        let mut above = parent;
        while let Some(own) = above {
            if let Some(local) = self.local.get(&Item::Box(own)) {
                sum.across += local.across;
                sum.along += local.along;
            }
            above = self.plan.boxes[own].parent;
        }
        sum
    }
}

fn to_flow(direction: Direction, x: f64, y: f64) -> Flow {
    match direction {
        Direction::Down => Flow { across: x, along: y },
        Direction::Right => Flow { across: y, along: x },
    }
}

fn to_xy(direction: Direction, flow: Flow) -> Point {
    match direction {
        Direction::Down => Point::new(flow.across, flow.along),
        Direction::Right => Point::new(flow.along, flow.across),
    }
}
