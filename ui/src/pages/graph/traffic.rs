//! The traffic animation: dots on one canvas between the lines and the cards, so that they cost no elements and take no clicks.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::board::Board;
use crate::model::camera::{Camera, Detail};
use crate::model::geometry::Point;
use crate::model::picture::Picture;
use crate::model::scene::Tone;
use crate::model::traffic::{Stream, Swarm};
use crate::platform;

const DOT_RADIUS: f64 = 2.8;
const DOT_RIM: f64 = 1.2;
const DIAMOND: f64 = 4.2;
/// Dots vanish before the arrowhead.
const ARROW_SPACE: f64 = 12.0;
/// Links beyond this many are drawn at half the rate of frames.
const MANY_LINKS: usize = 150;

#[component]
pub fn Traffic(board: Board) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let wanted = Memo::new(move |_| {
        board.ui.view.with(|view| view.animation) && !platform::media_matches("(prefers-reduced-motion: reduce)")
    });
    let running: Rc<RefCell<Option<Loop>>> = Rc::default();
    let stop = StoredValue::new_local(Rc::clone(&running));
    Effect::new(move |_| {
        let on = wanted.get();
        let slot = stop.get_value();
        slot.borrow_mut().take();
        if let Some(element) = canvas.get() {
            clear(&element);
            if on {
                slot.replace(Some(Loop::start(element, board)));
            }
        }
    });
    on_cleanup(move || {
        if let Some(slot) = stop.try_get_value() {
            slot.borrow_mut().take();
        }
    });
    view! { <canvas node_ref=canvas class="traffic" aria-hidden="true"></canvas> }
}

type Frame = Rc<RefCell<Option<Closure<dyn FnMut(f64)>>>>;

/// Draws until it is dropped.
struct Loop {
    alive: Rc<RefCell<bool>>,
}

impl Drop for Loop {
    fn drop(&mut self) {
        *self.alive.borrow_mut() = false;
    }
}

impl Loop {
    fn start(canvas: HtmlCanvasElement, board: Board) -> Self {
        let alive = Rc::new(RefCell::new(true));
        let still = Rc::clone(&alive);
        let frame: Frame = Rc::default();
        let next = Rc::clone(&frame);
        let mut painter = Painter::new(canvas, board);
        *frame.borrow_mut() = Some(Closure::new(move |now: f64| {
            if !*still.borrow() {
                next.borrow_mut().take();
                return;
            }
            // The browser calls no frames while the page is hidden, so nothing runs then.
            painter.paint(now);
            request(&next);
        }));
        request(&frame);
        Self { alive }
    }
}

fn request(frame: &Frame) {
    if let Some(closure) = frame.borrow().as_ref() {
        let _ = platform::window().request_animation_frame(closure.as_ref().unchecked_ref());
    }
}

fn clear(canvas: &HtmlCanvasElement) {
    canvas.set_width(0);
    canvas.set_height(0);
}

struct Painter {
    canvas: HtmlCanvasElement,
    board: Board,
    swarm: Swarm,
    streams: Vec<(String, Stream)>,
    /// Whose streams those are.
    picture: Option<std::sync::Arc<Picture>>,
    last_ms: f64,
    odd: bool,
    colors: Colors,
}

#[derive(Clone, Default, PartialEq)]
struct Colors {
    theme: String,
    rim: String,
    healthy: String,
    tcp: String,
    warn: String,
    bad: String,
}

impl Painter {
    fn new(canvas: HtmlCanvasElement, board: Board) -> Self {
        let colors = Colors::default();
        Self { canvas, board, swarm: Swarm::default(), streams: Vec::new(), picture: None, last_ms: 0.0, odd: false, colors }
    }

    fn paint(&mut self, now_ms: f64) {
        self.odd = !self.odd;
        if self.streams.len() > MANY_LINKS && self.odd {
            return;
        }
        // Signals may be gone when the page has just been left.
        let (Some(picture), Some(camera)) =
            (self.board.picture.try_get_untracked().flatten(), self.board.camera.try_get_untracked())
        else {
            return;
        };
        self.refresh(&picture);
        let seconds = if self.last_ms > 0.0 { (now_ms - self.last_ms) / 1000.0 } else { 0.0 };
        self.last_ms = now_ms;
        self.swarm.step(seconds, &self.streams);
        let Some(context) = self.prepare() else { return };
        self.draw(&context, &picture, camera);
    }

    /// New numbers only when there is a new picture.
    fn refresh(&mut self, picture: &std::sync::Arc<Picture>) {
        if self.picture.as_ref().is_some_and(|old| std::sync::Arc::ptr_eq(old, picture)) {
            return;
        }
        let links = picture.scene.links.iter().zip(&picture.routes);
        self.streams = links
            .map(|(link, route)| {
                let length = (route.trace.length() - ARROW_SPACE).max(0.0);
                (link.edge.id.clone(), Stream::new(length, link.rate, link.errors, link.p95_ms, link.tcp))
            })
            .collect();
        self.picture = Some(std::sync::Arc::clone(picture));
    }

    /// Sizes the canvas for the screen's pixels and wipes it.
    fn prepare(&mut self) -> Option<CanvasRenderingContext2d> {
        let (w, h) = self.board.window.try_get_untracked()?;
        let ratio = platform::window().device_pixel_ratio().clamp(1.0, 2.0);
        let (pw, ph) = ((w * ratio) as u32, (h * ratio) as u32);
        if self.canvas.width() != pw || self.canvas.height() != ph {
            self.canvas.set_width(pw);
            self.canvas.set_height(ph);
        }
        let context = self.canvas.get_context("2d").ok()??.dyn_into::<CanvasRenderingContext2d>().ok()?;
        context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).ok()?;
        context.clear_rect(0.0, 0.0, w, h);
        self.colors.follow_theme();
        Some(context)
    }

    fn draw(&self, context: &CanvasRenderingContext2d, picture: &Picture, camera: Camera) {
        let focus = self.board.focus.try_get_untracked().flatten();
        let far = camera.detail() == Detail::Dot;
        let size = match camera.detail() {
            Detail::Full => camera.zoom.clamp(0.7, 1.2),
            Detail::Name => 0.7,
            Detail::Dot => 0.5,
        };
        let (w, h) = self.board.window.try_get_untracked().unwrap_or_default();
        for (index, (link, route)) in picture.scene.links.iter().zip(&picture.routes).enumerate() {
            let bright = focus.as_ref().is_none_or(|focus| focus.links.contains(&index));
            context.set_global_alpha(if bright { 1.0 } else { 0.35 });
            let color = match link.tone {
                Tone::Failing => &self.colors.bad,
                Tone::Degraded => &self.colors.warn,
                _ if link.tcp => &self.colors.tcp,
                _ => &self.colors.healthy,
            };
            let dots = self.swarm.dots(&link.edge.id);
            let trace = if far && route.far_trace.length() > 0.0 { &route.far_trace } else { &route.trace };
            // Both ways are of nearly the same length: the dots keep their part of the way.
            let stretch = trace.length() / route.trace.length().max(1.0);
            let on_screen = |gone: f64| camera.on_screen(trace.at(gone * stretch));
            let visible = |at: &Point| at.x > -10.0 && at.y > -10.0 && at.x < w + 10.0 && at.y < h + 10.0;
            let good = dots.iter().filter(|dot| !dot.failing).map(|dot| on_screen(dot.gone)).filter(visible);
            paint_dots(context, good, size, color, &self.colors.rim);
            let bad = dots.iter().filter(|dot| dot.failing).map(|dot| on_screen(dot.gone)).filter(visible);
            paint_diamonds(context, bad, size, &self.colors.bad, &self.colors.rim);
        }
    }
}

/// One path for all dots of a link: filling is what costs.
fn paint_dots(context: &CanvasRenderingContext2d, points: impl Iterator<Item = Point>, size: f64, color: &str, rim: &str) {
    context.begin_path();
    for at in points {
        context.move_to(at.x + DOT_RADIUS * size, at.y);
        let _ = context.arc(at.x, at.y, DOT_RADIUS * size, 0.0, std::f64::consts::TAU);
    }
    finish(context, size, color, rim);
}

fn paint_diamonds(context: &CanvasRenderingContext2d, points: impl Iterator<Item = Point>, size: f64, color: &str, rim: &str) {
    context.begin_path();
    let half = DIAMOND * size;
    for at in points {
        context.move_to(at.x, at.y - half);
        context.line_to(at.x + half, at.y);
        context.line_to(at.x, at.y + half);
        context.line_to(at.x - half, at.y);
        context.close_path();
    }
    finish(context, size, color, rim);
}

fn finish(context: &CanvasRenderingContext2d, size: f64, color: &str, rim: &str) {
    context.set_stroke_style_str(rim);
    context.set_line_width(2.0 * DOT_RIM * size);
    context.stroke();
    context.set_fill_style_str(color);
    context.fill();
}

impl Colors {
    /// A canvas knows no custom properties: they are read when the theme changes.
    fn follow_theme(&mut self) {
        let Some(root) = platform::document().document_element() else { return };
        let theme = root.get_attribute("data-theme").unwrap_or_default();
        if theme == self.theme {
            return;
        }
        let Ok(Some(style)) = platform::window().get_computed_style(&root) else { return };
        let color = |name: &str| style.get_property_value(name).unwrap_or_default().trim().to_owned();
        *self = Self {
            theme,
            rim: color("--bg"),
            healthy: color("--text-3"),
            tcp: color("--tcp"),
            warn: color("--warn"),
            bad: color("--bad"),
        };
    }
}
