//! Keeps what stands where it stood: a refresh must not move what the reader looks at.

use std::collections::HashMap;

use super::{Placement, Plan, place};
use crate::model::geometry::{Point, Rect};
use crate::model::view::Direction;

/// Cards whose last place is remembered, in case they come back.
const REMEMBERED_MAX: usize = 4000;
/// More newcomers than one in so many, and a fresh layout reads better than a patched one.
const NEWCOMERS_SHARE: usize = 4;
/// Steps aside in which a newcomer looks for a free place.
const STEPS_ASIDE: i32 = 12;

/// Remembers the last placement.
#[derive(Debug, Default)]
pub struct Keeper {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    plan: Plan,
    placement: Placement,
    /// By card id, those that have gone included.
    places: HashMap<String, Rect>,
}

impl Keeper {
    /// Places the plan; what was there before keeps its place if that is possible. The flag says whether it was.
    pub fn place(&mut self, plan: &Plan, direction: Direction) -> (Placement, bool) {
        let (placement, kept) = match self.last.as_ref().and_then(|last| last.patched(plan, direction)) {
            Some(placement) => (placement, true),
            None => (place(plan, direction), false),
        };
        let mut places = match self.last.take() {
            Some(last) if kept && last.places.len() < REMEMBERED_MAX => last.places,
            _ => HashMap::new(),
        };
        places.extend(plan.cards.iter().zip(&placement.cards).map(|(card, rect)| (card.id.clone(), *rect)));
        self.last = Some(Last { plan: plan.clone(), placement: placement.clone(), places });
        (placement, kept)
    }

    /// The next placement is a fresh one.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

impl Last {
    /// `None` when a fresh layout is due.
    fn patched(&self, plan: &Plan, direction: Direction) -> Option<Placement> {
        if self.placement.direction != direction || plan.cards.is_empty() {
            return None;
        }
        if self.plan == *plan {
            return Some(self.placement.clone());
        }
        let known: Vec<Option<Rect>> = plan.cards.iter().map(|card| self.place_of(plan, card.id.as_str(), card.parent)).collect();
        let newcomers = known.iter().filter(|place| place.is_none()).count();
        if newcomers * NEWCOMERS_SHARE > plan.cards.len() {
            return None;
        }
        let cards = seat(plan, direction, known)?;
        let boxes = wrap(plan, &cards);
        let placement = Placement { direction, boxes, cards, bends: self.bends(plan) };
        sound(plan, &placement).then_some(placement)
    }

    /// Its old place, if it still stands in the same boxes.
    fn place_of(&self, plan: &Plan, id: &str, parent: Option<usize>) -> Option<Rect> {
        let place = self.places.get(id)?;
        match self.plan.cards.iter().find(|card| card.id == id) {
            Some(old) if chain(&self.plan, old.parent) != chain(plan, parent) => None,
            _ => Some(*place),
        }
    }

    /// Edges that were there before keep their ways; new ones find theirs around the cards.
    fn bends(&self, plan: &Plan) -> Vec<Vec<Point>> {
        let name = |plan: &Plan, (from, to): (usize, usize)| (plan.cards[from].id.clone(), plan.cards[to].id.clone());
        let old: HashMap<(String, String), &Vec<Point>> =
            self.plan.edges.iter().zip(&self.placement.bends).map(|(edge, bends)| (name(&self.plan, *edge), bends)).collect();
        plan.edges.iter().map(|edge| old.get(&name(plan, *edge)).map(|bends| (*bends).clone()).unwrap_or_default()).collect()
    }
}

/// The ids of the boxes around, innermost first.
fn chain(plan: &Plan, parent: Option<usize>) -> Vec<&str> {
    let mut ids = Vec::new();
    let mut above = parent;
    while let Some(own) = above {
        ids.push(plan.boxes[own].id.as_str());
        above = plan.boxes[own].parent;
    }
    ids
}

/// Finds a free place for each newcomer: one layer after who calls it, or before whom it calls.
fn seat(plan: &Plan, direction: Direction, known: Vec<Option<Rect>>) -> Option<Vec<Rect>> {
    let mut cards = known;
    for newcomer in 0..cards.len() {
        if cards[newcomer].is_some() {
            continue;
        }
        let spec = &plan.cards[newcomer];
        let wish = wish(plan, direction, newcomer, &cards)?;
        let taken: Vec<Rect> = cards.iter().flatten().map(|rect| rect.grown(12.0)).collect();
        let step = if direction == Direction::Down { spec.w + 24.0 } else { spec.h + 36.0 };
        let free = (0..STEPS_ASIDE).flat_map(|n| [f64::from(n), -f64::from(n)]).find_map(|n| {
            let (dx, dy) = if direction == Direction::Down { (n * step, 0.0) } else { (0.0, n * step) };
            let rect = Rect::new(wish.x + dx, wish.y + dy, spec.w, spec.h);
            taken.iter().all(|other| !other.meets(&rect)).then_some(rect)
        })?;
        cards[newcomer] = Some(free);
    }
    cards.into_iter().collect()
}

fn wish(plan: &Plan, direction: Direction, newcomer: usize, cards: &[Option<Rect>]) -> Option<Point> {
    let spec = &plan.cards[newcomer];
    let caller = plan.edges.iter().filter(|(_, to)| *to == newcomer).find_map(|(from, _)| cards[*from]);
    let called = plan.edges.iter().filter(|(from, _)| *from == newcomer).find_map(|(_, to)| cards[*to]);
    let sibling = || cards.iter().zip(&plan.cards).rev().find(|(rect, card)| rect.is_some() && card.parent == spec.parent);
    match (caller, called, direction) {
        (Some(from), _, Direction::Down) => Some(Point::new(from.x, from.bottom() + super::GAP_DOWN)),
        (Some(from), _, Direction::Right) => Some(Point::new(from.right() + super::GAP_RIGHT, from.y)),
        (None, Some(to), Direction::Down) => Some(Point::new(to.x, to.y - super::GAP_DOWN - spec.h)),
        (None, Some(to), Direction::Right) => Some(Point::new(to.x - super::GAP_RIGHT - spec.w, to.y)),
        (None, None, _) => sibling().and_then(|(rect, _)| *rect).map(|rect| Point::new(rect.x, rect.y)),
    }
}

/// Boxes around their cards, innermost first.
fn wrap(plan: &Plan, cards: &[Rect]) -> Vec<Rect> {
    let mut boxes = vec![None::<Rect>; plan.boxes.len()];
    for own in (0..plan.boxes.len()).rev() {
        let inner = plan.cards.iter().zip(cards).filter(|(card, _)| card.parent == Some(own)).map(|(_, rect)| *rect);
        let nested = (0..plan.boxes.len()).filter(|b| plan.boxes[*b].parent == Some(own)).filter_map(|b| boxes[b]);
        let pad = plan.boxes[own].kind.padding(plan.roomy);
        boxes[own] = Rect::of_all(inner.chain(nested))
            .map(|r| Rect::new(r.x - pad.left, r.y - pad.top, r.w + pad.left + pad.right, r.h + pad.top + pad.bottom));
    }
    boxes.into_iter().map(Option::unwrap_or_default).collect()
}

/// No two neighbours overlap.
pub(super) fn sound(plan: &Plan, placement: &Placement) -> bool {
    let mut parents: Vec<Option<usize>> = vec![None];
    parents.extend((0..plan.boxes.len()).map(Some));
    parents.into_iter().all(|parent| {
        let cards = plan.cards.iter().zip(&placement.cards).filter(|(card, _)| card.parent == parent).map(|(_, rect)| *rect);
        let boxes = plan.boxes.iter().zip(&placement.boxes).filter(|(own, _)| own.parent == parent).map(|(_, rect)| *rect);
        let mut rects: Vec<Rect> = cards.chain(boxes).filter(|rect| rect.w > 0.0).collect();
        rects.sort_by(|a, b| a.x.total_cmp(&b.x));
        rects.iter().enumerate().all(|(i, a)| rects[i + 1..].iter().take_while(|b| b.x < a.right()).all(|b| !a.meets(b)))
    })
}
