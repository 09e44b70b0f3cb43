//! The line under the graph: error rate over time, configuration changes, and the play head.

mod flags;
mod head;

use leptos::html;
use leptos::prelude::*;
use sidelight_api::timeline::Timeline;

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
use flags::Flags;
use head::Head;

const CHART_H: f64 = 38.0;
/// Above the chart, for the flags.
const CHART_TOP: f64 = 8.0;
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
    let scale = Memo::new(move |_| feed.value.with(|timeline| timeline.as_ref().map(|timeline| scale_of(timeline, width.get()))));
    view! {
        <section class="timeline" aria-label=t(GraphText::TimeLine) data-test="timeline">
            <div class="timeline-number">
                <span>{t(GraphText::ErrorRate)}</span>
                <b class:bad=move || percent().is_some_and(|p| p >= 1.0)>{move || percent().map_or("–".to_owned(), |p| format!("{} %", format::percent(p)))}</b>
                <span class="remark">{t(GraphText::AllEdges)}</span>
            </div>
            <div class="timeline-chart" node_ref=chart>
                {move || scale.get().and_then(|scale| Some(drawing(board, feed.value.get()?.as_ref(), scale)))}
                // These two stay while numbers change: one may be dragged, the other pointed at.
                <Show when=move || scale.with(Option::is_some)><Head board scale/></Show>
                <Flags board scale timeline=feed.value/>
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

fn worst(timeline: &Timeline) -> f64 {
    timeline.points.iter().map(error_percent).fold(0.0, f64::max)
}

fn scale_of(timeline: &Timeline, width: f64) -> Scale {
    let top = nice_top(worst(timeline).max(1.0));
    Scale { from_ms: timeline.from_ms, to_ms: timeline.to_ms, top, width, height: CHART_H }
}

fn drawing(board: Board, timeline: &Timeline, scale: Scale) -> impl IntoView + use<> {
    let width = scale.width;
    let points: Vec<(i64, f64)> = timeline.points.iter().map(|p| (p.t_ms, error_percent(p))).collect();
    let offset = platform::offset_minutes(timeline.to_ms);
    let ticks = time_ticks(timeline.from_ms, timeline.to_ms, offset, (width / 130.0) as usize);
    let top = scale.top;
    let error_class = if worst(timeline) > 0.0 { "error-line" } else { "error-line calm" };
    let known = timeline.last_sample_ms.unwrap_or(timeline.to_ms);
    let gap = timeline.to_ms - known;
    // Where the head rests while live, its own time stands.
    let live_end = board.ui.view.with(|view| view.query_time.is_some());
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
    }
}

fn axis_text(value: f64, unit: bool) -> String {
    if unit { format!("{} %", format::axis(value)) } else { format::axis(value) }
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
