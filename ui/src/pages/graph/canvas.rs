//! The surface: layers of the drawing under one camera, and the pointer that moves it.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, PointerEvent, WheelEvent};

use super::board::Board;
use super::boxes::{BoxLabels, Boxes};
use super::cards::Cards;
use super::links::{Lines, Pills};
use super::traffic::Traffic;
use crate::components::size;
use crate::i18n::graph::GraphText;
use crate::i18n::t;
use crate::model::geometry::Point;
use crate::platform;

/// A press that moves less than this is a click.
const CLICK_SLACK: f64 = 4.0;
const PAN_STEP: f64 = 60.0;
pub const ZOOM_STEP: f64 = 1.2;

#[derive(Clone, Copy)]
struct Press {
    pointer: i32,
    start: Point,
    last: Point,
    dragged: bool,
}

#[component]
pub fn Canvas(board: Board) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let press = StoredValue::new(None::<Press>);
    watch_size(root, board);
    listen_to_keys(board);

    let on_down = move |event: PointerEvent| {
        let on_thing =
            event.target().and_then(|t| t.dyn_into::<Element>().ok()).is_some_and(|e| matches!(e.closest(".pick"), Ok(Some(_))));
        if event.button() != 0 || on_thing {
            return;
        }
        let at = Point::new(event.client_x().into(), event.client_y().into());
        press.set_value(Some(Press { pointer: event.pointer_id(), start: at, last: at, dragged: false }));
        if let Some(element) = root.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
    };
    let on_move = move |event: PointerEvent| {
        let Some(mut now) = press.get_value().filter(|p| p.pointer == event.pointer_id()) else { return };
        let at = Point::new(event.client_x().into(), event.client_y().into());
        now.dragged |= at.distance(now.start) > CLICK_SLACK;
        if now.dragged {
            board.moving.set(true);
            board.pan(at.x - now.last.x, at.y - now.last.y);
        }
        now.last = at;
        press.set_value(Some(now));
    };
    let on_up = move |_: PointerEvent| {
        if let Some(last) = press.try_update_value(Option::take).flatten()
            && !last.dragged
        {
            board.select(None);
        }
        board.moving.set(false);
    };
    let on_wheel = move |event: WheelEvent| {
        event.prevent_default();
        let Some(element) = root.get_untracked() else { return };
        let bounds = element.get_bounding_client_rect();
        let at = Point::new(f64::from(event.client_x()) - bounds.x(), f64::from(event.client_y()) - bounds.y());
        // Lines and pages in pixels.
        let unit = [1.0, 16.0, 400.0][(event.delta_mode() as usize).min(2)];
        board.zoom((-event.delta_y() * unit * 0.0015).clamp(-0.5, 0.5).exp(), Some(at));
    };
    let detail = move || board.camera.with(|camera| camera.detail().class());
    let zoom = Memo::new(move |_| board.camera.with(|camera| format!("{:.4}", camera.zoom)));
    let world = move || board.camera.with(|camera| camera.css());
    // In one piece: a class that changes as a whole would wipe out those that are switched one by one.
    let class = move || format!("canvas {}{}", detail(), if board.moving.get() { " moving" } else { "" });
    view! {
        <div node_ref=root class=class
            style:--k=move || zoom.get() role="application" aria-label=t(GraphText::Title) data-test="graph"
            on:pointerdown=on_down on:pointermove=on_move on:pointerup=on_up on:pointercancel=on_up on:wheel=on_wheel>
            <svg class="world under" style:transform=world><Boxes board/><Lines board/></svg>
            <Traffic board/>
            <svg class="world over" style:transform=world><BoxLabels board/><Cards board/><Pills board/></svg>
        </div>
    }
}

/// Keeps the board's idea of the canvas' size.
fn watch_size(root: NodeRef<html::Div>, board: Board) {
    size::watch_size(root, move |width, height| {
        if board.window.get_untracked() != (width, height) {
            let first = board.window.get_untracked().0 == 0.0;
            board.window.set((width, height));
            if !first {
                board.fit();
            }
        }
    });
}

fn listen_to_keys(board: Board) {
    let handle = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || platform::typing(&event) || event.default_prevented() {
            return;
        }
        match event.key().as_str() {
            "+" | "=" => board.zoom(ZOOM_STEP, None),
            "-" => board.zoom(1.0 / ZOOM_STEP, None),
            "0" => board.fit(),
            "l" => board.legend_open.update(|open| *open = !*open),
            "ArrowLeft" => board.pan(PAN_STEP, 0.0),
            "ArrowRight" => board.pan(-PAN_STEP, 0.0),
            "ArrowUp" => board.pan(0.0, PAN_STEP),
            "ArrowDown" => board.pan(0.0, -PAN_STEP),
            "Escape" => board.select(None),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}
