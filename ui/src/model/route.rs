//! Draws links between placed cards, and seats one pill on each where it covers neither a card nor another pill.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use super::geometry::{Cubic, Point, Rect, Trace};
use super::layout::{BoxKind, Placement, Plan};
use super::view::Direction;

/// Between two links at one side of a card.
const PORT_PITCH: f64 = 28.0;
/// Links keep away from a card's corners.
const PORT_MARGIN: f64 = 18.0;
/// Control points stand at this part of the way along.
const BEND: f64 = 0.52;
/// A link that runs into a card goes around it in the middle of the gap to the next card; obstacles are grown by half of that.
const DETOUR_DOWN: f64 = 7.0;
const DETOUR_RIGHT: f64 = 13.0;
const OBSTACLE_MARGIN: f64 = 5.0;
/// Points of a curve that are looked at for cards in the way.
const PROBES: usize = 40;
/// Cards that one link goes around at most; what is left is drawn under the card.
const DETOURS_MAX: usize = 8;
const ARROW_LENGTH: f64 = 9.0;
pub const PILL_HEIGHT: f64 = 20.0;
/// Pieces per curve: enough that a dot walks smoothly.
const PIECES: usize = 18;
/// Where on the link a pill may sit, best first.
const SEATS: [f64; 15] = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75, 0.2, 0.8, 0.15, 0.85];

/// What a link looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// SVG path, from the border of one card to the foot of the arrowhead.
    pub path: String,
    /// SVG path of the arrowhead.
    pub arrow: String,
    pub trace: Trace,
    /// The same from middle to middle, for when cards are drawn as dots.
    pub far_path: String,
    pub far_trace: Trace,
    /// Middle of the pill; `None` when it found no seat.
    pub pill: Option<Point>,
}

/// What the drawing of one link depends on, beside the placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    pub width: f64,
    pub pill_width: f64,
    /// How far outside the cards' borders the link ends: at their outer rings.
    pub from_ring: f64,
    pub to_ring: f64,
}

/// Width of a link by requests per second.
pub fn width(rate: f64) -> f64 {
    1.2 + 1.25 * (1.0 + rate.max(0.0)).log10()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Side {
    /// Where the flow enters.
    Before,
    /// Where it leaves.
    After,
}

pub fn routes(plan: &Plan, placement: &Placement, strokes: &[Stroke]) -> Vec<Route> {
    let ends = ends(plan, placement, strokes);
    let obstacles: Vec<Rect> = placement.cards.iter().map(|card| card.grown(OBSTACLE_MARGIN)).collect();
    let mut routes: Vec<Route> = Vec::with_capacity(plan.edges.len());
    for (edge, (from, to)) in plan.edges.iter().enumerate() {
        let curves = if from == to {
            own_loop(&placement.cards[*from], placement.direction)
        } else {
            let mut way = vec![ends[edge].0];
            way.extend(&placement.bends[edge]);
            way.push(ends[edge].1);
            around(way, placement.direction, |point| obstacle(&obstacles, *from, *to, point))
        };
        let far = far_curves(&curves, placement, *from, *to);
        routes.push(draw(&curves, &far, placement.direction, strokes[edge].width));
    }
    seat_pills(plan, placement, strokes, &mut routes);
    routes
}

/// The points where each link leaves and arrives: spread along the side, in the order of where they go.
fn ends(plan: &Plan, placement: &Placement, strokes: &[Stroke]) -> Vec<(Point, Point)> {
    let direction = placement.direction;
    let mut sides: Vec<(usize, Side, f64, usize, bool)> = Vec::new();
    let mut sides_of = Vec::with_capacity(plan.edges.len());
    for (edge, (from, to)) in plan.edges.iter().enumerate() {
        let (a, b) = (placement.cards[*from], placement.cards[*to]);
        let forward = along(direction, b.center()) >= along(direction, a.center());
        let (leave, arrive) = if forward { (Side::After, Side::Before) } else { (Side::Before, Side::After) };
        let bends = &placement.bends[edge];
        let next = bends.first().copied().unwrap_or(b.center());
        let before = bends.last().copied().unwrap_or(a.center());
        sides.push((*from, leave, across(direction, next), edge, true));
        sides.push((*to, arrive, across(direction, before), edge, false));
        sides_of.push((leave, arrive));
    }
    sides.sort_by(|x, y| (x.0, x.1).cmp(&(y.0, y.1)).then(x.2.total_cmp(&y.2)).then(x.3.cmp(&y.3)));
    let mut ends = vec![(Point::default(), Point::default()); plan.edges.len()];
    for group in sides.chunk_by(|x, y| x.0 == y.0 && x.1 == y.1) {
        let card = placement.cards[group[0].0];
        let room = extent_across(direction, &card) - 2.0 * PORT_MARGIN;
        let pitch = PORT_PITCH.min(room / (group.len().max(2) - 1) as f64);
        for (i, (_, side, _, edge, leaving)) in group.iter().enumerate() {
            let offset = (i as f64 - (group.len() - 1) as f64 / 2.0) * pitch;
            let ring = if *leaving { strokes[*edge].from_ring } else { strokes[*edge].to_ring };
            let point = port(direction, &card.grown(ring), *side, offset);
            if *leaving {
                ends[*edge].0 = point;
            } else {
                ends[*edge].1 = point;
            }
        }
    }
    ends
}

fn port(direction: Direction, card: &Rect, side: Side, offset: f64) -> Point {
    let center = card.center();
    match (direction, side) {
        (Direction::Down, Side::Before) => Point::new(center.x + offset, card.y),
        (Direction::Down, Side::After) => Point::new(center.x + offset, card.bottom()),
        (Direction::Right, Side::Before) => Point::new(card.x, center.y + offset),
        (Direction::Right, Side::After) => Point::new(card.right(), center.y + offset),
    }
}

fn along(direction: Direction, point: Point) -> f64 {
    if direction == Direction::Down { point.y } else { point.x }
}

fn across(direction: Direction, point: Point) -> f64 {
    if direction == Direction::Down { point.x } else { point.y }
}

fn extent_across(direction: Direction, rect: &Rect) -> f64 {
    if direction == Direction::Down { rect.w } else { rect.h }
}

fn obstacle(obstacles: &[Rect], from: usize, to: usize, point: Point) -> Option<Rect> {
    obstacles.iter().enumerate().find(|(i, rect)| *i != from && *i != to && rect.contains(point)).map(|(_, rect)| *rect)
}

/// Curves through the points, with a detour around each card that one of them would cross.
fn around(mut way: Vec<Point>, direction: Direction, hit: impl Fn(Point) -> Option<Rect>) -> Vec<Cubic> {
    for _ in 0..DETOURS_MAX {
        let curves = smooth(&way, direction);
        let found = curves.iter().enumerate().find_map(|(i, curve)| {
            (1..PROBES).map(|n| curve.at(n as f64 / PROBES as f64)).find_map(|point| hit(point).map(|card| (i, card)))
        });
        let Some((piece, card)) = found else { return curves };
        let lane = beside(direction, way[piece], way[piece + 1], &card);
        // What bent into the card before is not needed beside it.
        way.splice(piece + 1..piece + 1, lane);
    }
    smooth(&way, direction)
}

/// A straight way past a card, on the side that is nearer for both ends.
fn beside(direction: Direction, from: Point, to: Point, card: &Rect) -> [Point; 2] {
    let (low, high) = match direction {
        Direction::Down => (card.x - DETOUR_DOWN, card.right() + DETOUR_DOWN),
        Direction::Right => (card.y - DETOUR_RIGHT, card.bottom() + DETOUR_RIGHT),
    };
    let cost = |side: f64| (side - across(direction, from)).abs() + (side - across(direction, to)).abs();
    let side = if cost(low) <= cost(high) { low } else { high };
    let (first, last) = match direction {
        Direction::Down => (card.y, card.bottom()),
        Direction::Right => (card.x, card.right()),
    };
    let ends = if along(direction, from) <= along(direction, to) { [first, last] } else { [last, first] };
    ends.map(|at| if direction == Direction::Down { Point::new(side, at) } else { Point::new(at, side) })
}

/// One curve per pair of points; each leaves and arrives along the flow.
fn smooth(way: &[Point], direction: Direction) -> Vec<Cubic> {
    way.windows(2)
        .map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            let reach = (along(direction, to) - along(direction, from)) * BEND;
            // Two points beside each other still need a curve, not a straight line across.
            let reach = if reach.abs() < 24.0 { 24.0_f64.copysign(if reach == 0.0 { 1.0 } else { reach }) } else { reach };
            let (c1, c2) = match direction {
                Direction::Down => (Point::new(from.x, from.y + reach), Point::new(to.x, to.y - reach)),
                Direction::Right => (Point::new(from.x + reach, from.y), Point::new(to.x - reach, to.y)),
            };
            Cubic { from, c1, c2, to }
        })
        .collect()
}

/// A card that calls itself.
fn own_loop(card: &Rect, direction: Direction) -> Vec<Cubic> {
    let (from, to, out) = match direction {
        Direction::Down => {
            let (from, to) = (Point::new(card.right(), card.y + 38.0), Point::new(card.right(), card.y + 22.0));
            (from, to, Point::new(46.0, 0.0))
        }
        Direction::Right => {
            let (from, to) = (Point::new(card.x + 78.0, card.bottom()), Point::new(card.x + 106.0, card.bottom()));
            (from, to, Point::new(0.0, 46.0))
        }
    };
    let spread = if direction == Direction::Down { Point::new(0.0, 14.0) } else { Point::new(-14.0, 0.0) };
    let c1 = Point::new(from.x + out.x + spread.x, from.y + out.y + spread.y);
    let c2 = Point::new(to.x + out.x - spread.x, to.y + out.y - spread.y);
    vec![Cubic { from, c1, c2, to }]
}

/// The same way from middle to middle; a card that calls itself is a dot without a loop.
fn far_curves(curves: &[Cubic], placement: &Placement, from: usize, to: usize) -> Vec<Cubic> {
    if from == to {
        return Vec::new();
    }
    let mut way = vec![placement.cards[from].center()];
    way.extend(curves.iter().skip(1).map(|curve| curve.from));
    way.push(placement.cards[to].center());
    smooth(&way, placement.direction)
}

fn draw(curves: &[Cubic], far: &[Cubic], direction: Direction, width: f64) -> Route {
    let mut shortened = curves.to_vec();
    let (tip, heading) = arrow_of(curves, direction);
    if let Some(last) = shortened.last_mut() {
        // The line ends inside the arrowhead, so that its butt does not look out beside the tip.
        let foot = Point::new(tip.x - heading.x * ARROW_LENGTH * 0.8, tip.y - heading.y * ARROW_LENGTH * 0.8);
        last.c2 = Point::new(last.c2.x + foot.x - tip.x, last.c2.y + foot.y - tip.y);
        last.to = foot;
    }
    // Dots must walk on the line that is drawn.
    let mut trace = Trace::of(&shortened, PIECES);
    trace.push(tip);
    Route {
        path: path_of(&shortened),
        arrow: arrow_path(tip, heading, width),
        trace,
        far_path: path_of(far),
        far_trace: Trace::of(far, PIECES),
        pill: None,
    }
}

fn arrow_of(curves: &[Cubic], direction: Direction) -> (Point, Point) {
    let Some(last) = curves.last() else { return (Point::default(), Point::new(0.0, 1.0)) };
    let (dx, dy) = (last.to.x - last.c2.x, last.to.y - last.c2.y);
    let length = dx.hypot(dy);
    let fallback = if direction == Direction::Down { Point::new(0.0, 1.0) } else { Point::new(1.0, 0.0) };
    (last.to, if length > 0.0 { Point::new(dx / length, dy / length) } else { fallback })
}

fn path_of(curves: &[Cubic]) -> String {
    let mut path = String::new();
    for (i, curve) in curves.iter().enumerate() {
        if i == 0 {
            let _ = write!(path, "M{:.1} {:.1}", curve.from.x, curve.from.y);
        }
        let _ = write!(
            path,
            "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
            curve.c1.x, curve.c1.y, curve.c2.x, curve.c2.y, curve.to.x, curve.to.y
        );
    }
    path
}

fn arrow_path(tip: Point, heading: Point, width: f64) -> String {
    let half = 2.6 + 0.9 * width;
    let foot = Point::new(tip.x - heading.x * ARROW_LENGTH, tip.y - heading.y * ARROW_LENGTH);
    let (left, right) = (
        Point::new(foot.x - heading.y * half, foot.y + heading.x * half),
        Point::new(foot.x + heading.y * half, foot.y - heading.x * half),
    );
    format!("M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z", tip.x, tip.y, left.x, left.y, right.x, right.y)
}

/// Busy links choose first. A pill never covers a card, a label or another pill, and keeps off borders while it can.
fn seat_pills(plan: &Plan, placement: &Placement, strokes: &[Stroke], routes: &mut [Route]) {
    let labels = plan.boxes.iter().zip(&placement.boxes).map(|(own, rect)| label_of(own.kind, rect));
    let mut taken: Vec<Rect> = placement.cards.iter().map(|card| card.grown(5.0)).chain(labels).collect();
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by(|a, b| strokes[*b].width.total_cmp(&strokes[*a].width).then(a.cmp(b)));
    for edge in order {
        let trace = &routes[edge].trace;
        let pill = |part: f64| Rect::around(trace.at(trace.length() * part), strokes[edge].pill_width, PILL_HEIGHT);
        let free = |rect: &Rect| taken.iter().all(|other| !other.meets(rect));
        let clear = |rect: &Rect| placement.boxes.iter().all(|own| !own.border_meets(rect));
        let seat = SEATS.iter().map(|part| pill(*part)).find(|rect| free(rect) && clear(rect));
        let seat = seat.or_else(|| SEATS.iter().map(|part| pill(*part)).find(|rect| free(rect)));
        routes[edge].pill = seat.map(|rect| rect.center());
        taken.extend(seat.map(|rect| rect.grown(2.0)));
    }
}

fn label_of(kind: BoxKind, rect: &Rect) -> Rect {
    match kind {
        BoxKind::Namespace => Rect::new(rect.x, rect.y, 170.0_f64.min(rect.w), 30.0),
        BoxKind::App => Rect::new(rect.x, rect.bottom() - 28.0, 150.0_f64.min(rect.w), 28.0),
    }
}
