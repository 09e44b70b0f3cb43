//! The play head: the window as a band, its end as a line that can be dragged.

use leptos::html;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, PointerEvent};

use super::super::board::Board;
use crate::i18n::graph::GraphText;
use crate::i18n::t;
use crate::model::chart::Scale;
use crate::model::format;
use crate::platform;
use crate::state::Step;

/// A head dragged this near to the end means "now".
const LIVE_SLACK: f64 = 8.0;
/// Steps of the arrow keys over the whole line.
const KEY_STEPS: i64 = 40;

#[component]
pub fn Head(board: Board, scale: Memo<Option<Scale>>) -> impl IntoView {
    let ui = board.ui;
    let root = NodeRef::<html::Div>::new();
    let drag = RwSignal::new(None::<i64>);
    // Shown only while there is a scale.
    let now = move || scale.get().unwrap_or(NOTHING);
    let at = Memo::new(move |_| drag.get().or_else(|| ui.view.with(|view| view.query_time.map(|s| s * 1000))));
    let head = move || at.get().unwrap_or_else(|| now().to_ms);
    let band = move || {
        let window_ms = ui.view.with(|view| view.window_s) as i64 * 1000;
        let (left, right) = (now().x(head() - window_ms), now().x(head()));
        format!("left:{left:.1}px;width:{:.1}px", (right - left).max(2.0))
    };
    let time_at = move |event: &PointerEvent| {
        let scale = scale.get_untracked().unwrap_or(NOTHING);
        let left = root.get_untracked().map_or(0.0, |element| element.get_bounding_client_rect().x());
        let x = f64::from(event.client_x()) - left;
        (x < scale.width - LIVE_SLACK).then(|| scale.time_at(x))
    };
    let go = move |time: Option<i64>| {
        ui.update(Step::Push, |view| {
            view.query_time = time.map(|ms| ms / 1000);
            view.paused = false;
        });
        if time.is_none() {
            ui.refresh_now();
        }
    };
    let follow =
        move |event: &PointerEvent| drag.set(Some(time_at(event).unwrap_or(scale.get_untracked().unwrap_or(NOTHING).to_ms)));
    let on_down = move |event: PointerEvent| {
        if let Some(element) = root.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
        follow(&event);
    };
    let on_move = move |event: PointerEvent| {
        if drag.get_untracked().is_some() {
            follow(&event);
        }
    };
    let on_up = move |event: PointerEvent| {
        if drag.get_untracked().is_some() {
            go(time_at(&event));
            drag.set(None);
        }
    };
    let on_key = move |event: KeyboardEvent| {
        let scale = scale.get_untracked().unwrap_or(NOTHING);
        let step = (scale.to_ms - scale.from_ms) / KEY_STEPS;
        let from = at.get_untracked().unwrap_or(scale.to_ms);
        let to = match event.key().as_str() {
            "ArrowLeft" => Some(from - step),
            "ArrowRight" => Some(from + step).filter(|ms| *ms < scale.to_ms - step / 2),
            "End" => None,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        go(to);
    };
    let words = move || format::time_of_day(head(), platform::offset_minutes(head()));
    view! {
        <div class="head-area" node_ref=root on:pointerdown=on_down on:pointermove=on_move on:pointerup=on_up on:pointercancel=move |_| drag.set(None)
            on:keydown=on_key role="slider" tabindex="0" aria-label=t(GraphText::TimeLine) aria-valuetext=words
            aria-valuemin=move || now().from_ms aria-valuemax=move || now().to_ms aria-valuenow=head>
            <div class="head-band" style=band></div>
            <div class="head-line" style=move || format!("left:{:.1}px", now().x(head()))><span>{words}</span></div>
        </div>
    }
}

const NOTHING: Scale = Scale { from_ms: 0, to_ms: 1, top: 1.0, width: 1.0, height: 1.0 };
