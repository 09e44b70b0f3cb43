//! Where the reader stands over the drawing, and how near.

use super::geometry::{Point, Rect};

pub const ZOOM_MIN: f64 = 0.04;
pub const ZOOM_MAX: f64 = 2.5;
/// Larger than life only helps small graphs a little.
const FIT_ZOOM_MAX: f64 = 1.0;

/// Screen point = drawing point × zoom + shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    pub x: f64,
    pub y: f64,
    pub zoom: f64,
}

impl Default for Camera {
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, zoom: 1.0 }
    }
}

/// How much a drawing shows at a zoom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Full,
    Name,
    Dot,
}

impl Detail {
    pub fn class(self) -> &'static str {
        match self {
            Self::Full => "detail-full",
            Self::Name => "detail-name",
            Self::Dot => "detail-dot",
        }
    }
}

impl Camera {
    pub fn detail(&self) -> Detail {
        match self.zoom {
            z if z >= 0.6 => Detail::Full,
            z if z >= 0.3 => Detail::Name,
            _ => Detail::Dot,
        }
    }

    /// Shows all of `drawing` inside `window`.
    pub fn fit(drawing: Rect, window: Rect) -> Self {
        if drawing.w <= 0.0 || drawing.h <= 0.0 || window.w <= 0.0 || window.h <= 0.0 {
            return Self::default();
        }
        let zoom = (window.w / drawing.w).min(window.h / drawing.h).clamp(ZOOM_MIN, FIT_ZOOM_MAX);
        let (from, to) = (drawing.center(), window.center());
        // Whole pixels keep hairlines sharp.
        Self { x: (to.x - from.x * zoom).round(), y: (to.y - from.y * zoom).round(), zoom }
    }

    /// Nearer or farther, with the drawing's point under `at` staying there.
    pub fn zoomed(&self, factor: f64, at: Point) -> Self {
        let zoom = (self.zoom * factor).clamp(ZOOM_MIN, ZOOM_MAX);
        let ratio = zoom / self.zoom;
        Self { x: at.x - (at.x - self.x) * ratio, y: at.y - (at.y - self.y) * ratio, zoom }
    }

    pub fn moved(&self, dx: f64, dy: f64) -> Self {
        Self { x: self.x + dx, y: self.y + dy, zoom: self.zoom }
    }

    pub fn on_screen(&self, point: Point) -> Point {
        Point::new(point.x * self.zoom + self.x, point.y * self.zoom + self.y)
    }

    pub fn rect_on_screen(&self, rect: Rect) -> Rect {
        let at = self.on_screen(Point::new(rect.x, rect.y));
        Rect::new(at.x, at.y, rect.w * self.zoom, rect.h * self.zoom)
    }

    pub fn css(&self) -> String {
        format!("translate({:.2}px,{:.2}px) scale({:.5})", self.x, self.y, self.zoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_centers_and_does_not_blow_up() {
        let camera = Camera::fit(Rect::new(0.0, 0.0, 200.0, 100.0), Rect::new(0.0, 0.0, 1000.0, 800.0));
        assert_eq!(camera, Camera { x: 400.0, y: 350.0, zoom: 1.0 });
        let camera = Camera::fit(Rect::new(100.0, 0.0, 2000.0, 100.0), Rect::new(10.0, 10.0, 1000.0, 800.0));
        assert_eq!((camera.zoom, camera.detail()), (0.5, Detail::Name));
        assert_eq!(camera.on_screen(Point::new(100.0, 50.0)), Point::new(10.0, 410.0));
    }

    #[test]
    fn zoom_keeps_the_point_under_the_pointer() {
        let at = Point::new(300.0, 200.0);
        let before = Camera { x: 40.0, y: 30.0, zoom: 0.8 };
        let after = before.zoomed(1.5, at);
        let drawn = Point::new((at.x - before.x) / before.zoom, (at.y - before.y) / before.zoom);
        assert!(after.on_screen(drawn).distance(at) < 1e-9);
        assert_eq!(before.zoomed(100.0, at).zoom, ZOOM_MAX);
    }
}
