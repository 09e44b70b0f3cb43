//! Points, rectangles and cubic curves.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    pub fn between(self, other: Self, part: f64) -> Self {
        Self::new(self.x + (other.x - self.x) * part, self.y + (other.y - self.y) * part)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Rect {
    pub fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    pub fn around(center: Point, w: f64, h: f64) -> Self {
        Self::new(center.x - w / 2.0, center.y - h / 2.0, w, h)
    }

    pub fn right(&self) -> f64 {
        self.x + self.w
    }

    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }

    pub fn center(&self) -> Point {
        Point::new(self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    pub fn grown(&self, by: f64) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2.0 * by, self.h + 2.0 * by)
    }

    pub fn contains(&self, point: Point) -> bool {
        point.x >= self.x && point.x <= self.right() && point.y >= self.y && point.y <= self.bottom()
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// Whether the other crosses the border, being neither inside nor outside.
    pub fn border_meets(&self, other: &Self) -> bool {
        let inside = other.x > self.x && other.right() < self.right() && other.y > self.y && other.bottom() < self.bottom();
        self.meets(other) && !inside
    }

    pub fn union(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::new(x, y, self.right().max(other.right()) - x, self.bottom().max(other.bottom()) - y)
    }

    /// The smallest rectangle around all; `None` of none.
    pub fn of_all(rects: impl IntoIterator<Item = Rect>) -> Option<Self> {
        rects.into_iter().reduce(|a, b| a.union(&b))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cubic {
    pub from: Point,
    pub c1: Point,
    pub c2: Point,
    pub to: Point,
}

impl Cubic {
    pub fn at(&self, t: f64) -> Point {
        let u = 1.0 - t;
        let (a, b, c, d) = (u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t);
        Point::new(
            a * self.from.x + b * self.c1.x + c * self.c2.x + d * self.to.x,
            a * self.from.y + b * self.c1.y + c * self.c2.y + d * self.to.y,
        )
    }
}

/// A curve as straight pieces, with the way gone at each of its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    pub points: Vec<Point>,
    pub gone: Vec<f64>,
}

impl Trace {
    pub fn of(curves: &[Cubic], pieces: usize) -> Self {
        let mut trace = Self::default();
        for curve in curves {
            for i in 0..=pieces {
                trace.push(curve.at(i as f64 / pieces as f64));
            }
        }
        trace
    }

    pub fn push(&mut self, point: Point) {
        let gone = match (self.points.last(), self.gone.last()) {
            (Some(last), Some(gone)) => gone + last.distance(point),
            _ => 0.0,
        };
        self.points.push(point);
        self.gone.push(gone);
    }

    pub fn length(&self) -> f64 {
        self.gone.last().copied().unwrap_or_default()
    }

    /// The point after `way`; the ends beyond both ends.
    pub fn at(&self, way: f64) -> Point {
        let next = self.gone.partition_point(|gone| *gone < way);
        match (next.checked_sub(1), self.points.get(next)) {
            (Some(last), Some(to)) => {
                let piece = self.gone[next] - self.gone[last];
                self.points[last].between(*to, if piece > 0.0 { (way - self.gone[last]) / piece } else { 0.0 })
            }
            (None, Some(first)) => *first,
            (_, None) => self.points.last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_walks_at_even_speed() {
        let line = Cubic {
            from: Point::new(0.0, 0.0),
            c1: Point::new(0.0, 52.0),
            c2: Point::new(0.0, 48.0),
            to: Point::new(0.0, 100.0),
        };
        let trace = Trace::of(&[line], 16);
        assert!((trace.length() - 100.0).abs() < 1e-9);
        assert!((trace.at(25.0).y - 25.0).abs() < 1e-9);
        assert_eq!(trace.at(-5.0), Point::new(0.0, 0.0));
        assert_eq!(trace.at(500.0), Point::new(0.0, 100.0));
    }

    #[test]
    fn border_is_met_from_both_sides_only() {
        let frame = Rect::new(0.0, 0.0, 100.0, 100.0);
        assert!(frame.border_meets(&Rect::new(90.0, 40.0, 20.0, 10.0)));
        assert!(!frame.border_meets(&Rect::new(40.0, 40.0, 20.0, 10.0)));
        assert!(!frame.border_meets(&Rect::new(140.0, 40.0, 20.0, 10.0)));
    }
}
