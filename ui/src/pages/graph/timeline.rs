//! The line under the graph: error rate over time, configuration changes, and the play head.

use leptos::html;
use leptos::prelude::*;
use sidelight_api::config::Action;
use sidelight_api::timeline::{Change, Timeline};
use web_sys::{KeyboardEvent, PointerEvent};

use super::board::Board;
use crate::client::Feed;
use crate::components::icons::{Glyph, Icon};
use crate::i18n::frame::Frame;
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::chart::{Scale, error_percent, nice_top, time_ticks};
use crate::model::format;
use crate::model::view::{Query, View};
use crate::platform;
use crate::state::{Namespaces, Step};

const CHART_H: f64 = 38.0;
/// Above the chart, for the flags.
const CHART_TOP: f64 = 8.0;
/// A head dragged this near to the end means "now".
const LIVE_SLACK: f64 = 8.0;
/// The line shows so many times the window, and not less than ten minutes.
const SPAN_FACTOR: u64 = 3;
const SPAN_MIN_S: u64 = 600;
/// Points over the width of the line.
const POINTS: u64 = 180;

#[component]
pub fn TimeLine(board: Board) -> impl IntoView {
    let ui = board.ui;
    let feed =
        Feed::<Timeline>::new(move || path(&ui.view.get(), board.namespaces, ui.now_ms.get_untracked()), move || ui.tick.get());
    let chart = NodeRef::<html::Div>::new();
    let width = RwSignal::new(900.0);
    Effect::new(move |_| {
        board.window.track();
        if let Some(element) = chart.get() {
            width.set(f64::from(element.client_width()).max(50.0));
        }
    });
    let percent = move || total_errors(board);
    let drag = RwSignal::new(None::<i64>);
    view! {
        <section class="timeline" aria-label=t(GraphText::TimeLine) data-test="timeline">
            <div class="timeline-number">
                <span>{t(GraphText::ErrorRate)}</span>
                <b class:bad=move || percent().is_some_and(|p| p >= 1.0)>{move || percent().map_or("–".to_owned(), |p| format!("{} %", format::percent(p)))}</b>
                <span class="remark">{t(GraphText::AllEdges)}</span>
            </div>
            <div class="timeline-chart" node_ref=chart>
                {move || feed.value.get().map(|timeline| view! { <Chart board timeline=timeline.as_ref().clone() width=width.get() drag/> })}
            </div>
            <Controls board/>
        </section>
    }
}

/// Failing requests of all edges that are shown.
fn total_errors(board: Board) -> Option<f64> {
    board.picture.with(|picture| {
        let links = &picture.as_ref()?.scene.links;
        let (rate, failing) =
            links.iter().filter(|l| !l.tcp).fold((0.0, 0.0), |(r, e), l| (r + l.rate, e + l.rate * l.errors / 100.0));
        (rate > 0.0).then(|| failing / rate * 100.0)
    })
}

fn path(view: &View, namespaces: Namespaces, now_ms: i64) -> Option<String> {
    let span = (view.window_s * SPAN_FACTOR).max(SPAN_MIN_S);
    let mut query = Query::default();
    query.put("namespaces", &namespaces.wanted(view)?.join(","));
    query.put("duration", &format!("{span}s"));
    query.put("step", &(span / POINTS).max(10).to_string());
    // A moment long ago stands near the end of the line, with a little of what came after.
    if let Some(time) = view.query_time.filter(|time| now_ms / 1000 - time > span as i64 * 9 / 10) {
        query.put("queryTime", &(time + span as i64 / 4).to_string());
    }
    Some(format!("/api/timeline{}", query.finish()))
}

#[component]
fn Chart(board: Board, timeline: Timeline, width: f64, drag: RwSignal<Option<i64>>) -> impl IntoView {
    let worst = timeline.points.iter().map(error_percent).fold(0.0, f64::max);
    let scale = Scale { from_ms: timeline.from_ms, to_ms: timeline.to_ms, top: nice_top(worst.max(1.0)), width, height: CHART_H };
    let points: Vec<(i64, f64)> = timeline.points.iter().map(|p| (p.t_ms, error_percent(p))).collect();
    let offset = platform::offset_minutes(timeline.to_ms);
    let ticks = time_ticks(timeline.from_ms, timeline.to_ms, offset, (width / 130.0) as usize);
    let top = scale.top;
    let error_class = if worst > 0.0 { "error-line" } else { "error-line calm" };
    let known = timeline.last_sample_ms.unwrap_or(timeline.to_ms);
    let gap = timeline.to_ms - known;
    // Where the head rests while live, its own time stands.
    let live_end = board.ui.view.with_untracked(|view| view.query_time.is_some());
    view! {
        <svg class="timeline-svg" width=width height="76" aria-hidden="true">
            <g transform=format!("translate(0,{CHART_TOP})")>
                {[0.0, 0.5, 1.0].map(|part| {
                    let y = CHART_H * (1.0 - part);
                    view! { <line class="grid" x1="0" x2=width y1=y y2=y/><text class="axis end" x="-8" y=y + 3.5>{axis_text(top * part, part == 1.0)}</text> }
                }).collect_view()}
                <path class="error-area" d=scale.area(points.iter().copied())/>
                <path class=error_class d=scale.line(points.iter().copied())/>
                {(gap > 45_000).then(|| {
                    let x = scale.x(known);
                    view! {
                        <rect class="no-data" x=x y="0" width=width - x height=CHART_H/>
                        {(width - x > 90.0).then(|| view! { <text class="no-data-text" x=(x + width) / 2.0 y=CHART_H / 2.0 + 4.0>{fill(GraphText::NoData, &[&format::age(gap)])}</text> })}
                    }
                })}
                {ticks.into_iter().filter(|(at, _)| live_end || scale.x(*at) < width - 70.0).map(|(at, label)| {
                    let x = scale.x(at);
                    let anchor = if x < 24.0 { "axis start" } else if x > width - 24.0 { "axis last" } else { "axis" };
                    view! { <text class=anchor x=x y=CHART_H + 17.0>{label}</text> }
                }).collect_view()}
            </g>
        </svg>
        <Head board scale drag/>
        {timeline.changes.into_iter().map(|change| view! { <Flag board change scale/> }).collect_view()}
    }
}

fn axis_text(value: f64, unit: bool) -> String {
    if unit { format!("{} %", format::axis(value)) } else { format::axis(value) }
}

/// The window as a band, its end as a head that can be dragged.
#[component]
fn Head(board: Board, scale: Scale, drag: RwSignal<Option<i64>>) -> impl IntoView {
    let ui = board.ui;
    let root = NodeRef::<html::Div>::new();
    let at = Memo::new(move |_| drag.get().or_else(|| ui.view.with(|view| view.query_time.map(|s| s * 1000))));
    let head = move || at.get().unwrap_or(scale.to_ms);
    let band = move || {
        let window_ms = ui.view.with(|view| view.window_s) as i64 * 1000;
        let (left, right) = (scale.x(head() - window_ms), scale.x(head()));
        format!("left:{left:.1}px;width:{:.1}px", (right - left).max(2.0))
    };
    let time_at = move |event: &PointerEvent| {
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
    let on_down = move |event: PointerEvent| {
        if let Some(element) = root.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
        drag.set(Some(time_at(&event).unwrap_or(scale.to_ms)));
    };
    let on_move = move |event: PointerEvent| {
        if drag.get_untracked().is_some() {
            drag.set(Some(time_at(&event).unwrap_or(scale.to_ms)));
        }
    };
    let on_up = move |event: PointerEvent| {
        if drag.get_untracked().is_some() {
            go(time_at(&event));
            drag.set(None);
        }
    };
    let step_ms = (scale.to_ms - scale.from_ms) / 40;
    let on_key = move |event: KeyboardEvent| {
        let to = match event.key().as_str() {
            "ArrowLeft" => Some(head() - step_ms),
            "ArrowRight" => Some(head() + step_ms).filter(|ms| *ms < scale.to_ms - step_ms / 2),
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
            aria-valuemin=scale.from_ms aria-valuemax=scale.to_ms aria-valuenow=head>
            <div class="head-band" style=band></div>
            <div class="head-line" class:past=move || at.get().is_some() style=move || format!("left:{:.1}px", scale.x(head()))>
                <span>{words}</span>
            </div>
        </div>
    }
}

#[component]
fn Flag(board: Board, change: Change, scale: Scale) -> impl IntoView {
    let open = RwSignal::new(false);
    let x = scale.x(change.t_ms);
    let near_end = x > scale.width - 300.0;
    let path = format!("/config/{}/{}/{}", change.kind, change.namespace, change.name);
    let link = StoredValue::new(path);
    let time = format::time_of_day(change.t_ms, platform::offset_minutes(change.t_ms));
    let title = format!("{} {}", change.kind, change.name);
    let what = fill(GraphText::ChangeBy, &[&t(action_text(change.action)), &change.author]);
    let change = StoredValue::new(change);
    view! {
        <div class="flag" class:open=move || open.get() style=format!("left:{x:.1}px") on:pointerenter=move |_| open.set(true) on:pointerleave=move |_| open.set(false)>
            <a class="flag-mark" href=move || link.with_value(|path| board.ui.link(path)) aria-label=format!("{title}, {time}, {what}")
                on:focus=move |_| open.set(true) on:blur=move |_| open.set(false) data-test="change"></a>
            {move || open.get().then(|| view! {
                <div class="flag-card" class:left=near_end>
                    <header><i class="change-square"></i><b>{title.clone()}</b><span class="remark">{time.clone()}</span></header>
                    <p class="remark">{what.clone()}" · r"{change.with_value(|c| c.revision)}</p>
                    {change.with_value(|c| (!c.message.is_empty()).then(|| view! { <code>{c.message.clone()}</code> }))}
                </div>
            })}
        </div>
    }
}

pub fn action_text(action: Action) -> GraphText {
    match action {
        Action::Created => GraphText::Created,
        Action::Configured => GraphText::Configured,
        Action::Unchanged => GraphText::Unchanged,
        Action::Deleted => GraphText::Deleted,
        Action::RolledBack => GraphText::RolledBack,
    }
}

#[component]
fn Controls(board: Board) -> impl IntoView {
    let ui = board.ui;
    let live = move || ui.view.with(View::live);
    let name = move || t(if live() { Frame::Pause } else { Frame::BackToLive });
    let toggle = move |_| {
        ui.update(Step::Push, |view| {
            let live = view.live();
            view.paused = live;
            view.query_time = None;
        });
        ui.refresh_now();
    };
    view! {
        <div class="timeline-controls">
            <button type="button" class="control" title=name aria-label=name on:click=toggle>
                {move || if live() {
                    view! { <Glyph icon=Icon::Pause size=14/> }.into_any()
                } else {
                    view! { <span class="lamp"></span><b>{t(Frame::Live)}</b> }.into_any()
                }}
            </button>
        </div>
    }
}
