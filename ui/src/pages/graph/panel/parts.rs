//! Pieces that all panels are made of.

use leptos::prelude::*;
use sidelight_api::graph::Latency;
use sidelight_api::timeline::Timeline;

use super::super::board::Board;
use crate::client::Feed;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::CopyButton;
use crate::i18n::frame::Frame;
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::chart::{Scale, failing_since, nice_top, time_ticks};
use crate::model::codes::{Class, Share};
use crate::model::format;
use crate::model::scene::Tone;
use crate::model::view::Query;
use crate::platform;

/// Codes that the bar names; the rest is in its title.
const CODES_MAX: usize = 6;
const CHART_W: f64 = 296.0;
const CHART_H: f64 = 60.0;
/// From this share on, a time step counts as failing when the panel says since when.
const DEGRADED_PERCENT: f64 = 0.1;
const FAILING_PERCENT: f64 = 10.0;

#[component]
pub fn Head(board: Board, #[prop(into)] over: String, children: Children) -> impl IntoView {
    let address = move || platform::window().location().href().unwrap_or_default();
    view! {
        <header class="panel-head">
            <div class="over">
                <span class="remark">{over}</span>
                <span class="grow"></span>
                <span title=t(GraphText::CopyLink)><CopyButton text=Signal::derive(address)/></span>
                <button type="button" class="plain" aria-label=t(Frame::Close) title=t(Frame::Close) data-test="panel-close" on:click=move |_| close(board)>
                    <Glyph icon=Icon::Close/>
                </button>
            </div>
            {children()}
        </header>
    }
}

/// First the selection goes, then the panel.
fn close(board: Board) {
    if board.ui.view.with_untracked(|view| view.selection.is_some()) {
        board.select(None);
    } else {
        board.panel_open.set(false);
    }
}

/// A name with its version, leading to the node when it has an id.
#[component]
pub fn Name(#[prop(into)] name: String, version: Option<String>) -> impl IntoView {
    view! { <b class="thing">{name}</b>{version.map(|version| view! { <span class="chip">{version}</span> })} }
}

/// What is wrong, since when, and how often.
#[component]
pub fn Alert(tone: Tone, errors: f64, timeline: Feed<Timeline>) -> impl IntoView {
    let since = move || {
        let min = if tone == Tone::Failing { FAILING_PERCENT } else { DEGRADED_PERCENT };
        timeline.value.with(|timeline| timeline.as_ref().and_then(|line| failing_since(&line.points, min)))
    };
    let words = move || match (tone, since()) {
        (Tone::Failing, Some(at)) => fill(GraphText::FailingSince, &[&clock(at)]),
        (Tone::Failing, None) => t(GraphText::Failing).to_owned(),
        (_, Some(at)) => fill(GraphText::DegradedSince, &[&clock(at)]),
        (_, None) => t(GraphText::Degraded).to_owned(),
    };
    let how_often = if errors <= 0.0 {
        None
    } else if errors > 66.0 {
        Some(t(GraphText::Most).to_owned())
    } else {
        Some(fill(GraphText::OneIn, &[&(100.0 / errors).round()]))
    };
    let (class, mark) = if tone == Tone::Failing { ("alert bad", Mark::Failing) } else { ("alert warn", Mark::Degraded) };
    (tone >= Tone::Degraded).then(|| {
        view! { <p class=class><Sign mark/><b>{words}</b>{how_often.map(|often| format!(" · {often}"))}</p> }
    })
}

fn clock(at: i64) -> String {
    format::hour_minute(at, platform::offset_minutes(at))
}

/// A number that is read from across the room.
#[component]
pub fn Big(
    label: GraphText,
    #[prop(into)] number: String,
    unit: &'static str,
    #[prop(optional)] tone: Option<Tone>,
    #[prop(default = "")] test: &'static str,
) -> impl IntoView {
    let class = match tone {
        Some(Tone::Failing) => "big bad",
        Some(Tone::Degraded) => "big warn",
        _ => "big",
    };
    view! { <div class=class data-test=test><span>{t(label)}</span><b>{number}<small>{unit}</small></b></div> }
}

#[component]
pub fn Quantiles(latency: Option<Latency>, tone: Tone) -> impl IntoView {
    latency.map(|latency| {
        let slow = |ms: f64| if tone >= Tone::Degraded && ms >= 500.0 { "big small-big bad" } else { "big small-big" };
        let one = move |name: &'static str, ms: f64| {
            let (number, unit) = format::duration_parts(ms);
            view! { <div class=slow(ms) data-test=name><span>{name}</span><b>{number}<small>{unit}</small></b></div> }
        };
        view! { <div class="bigs three">{one("p50", latency.p50)}{one("p95", latency.p95)}{one("p99", latency.p99)}</div> }
    })
}

/// One bar of all answers, and the codes with their shares.
#[component]
pub fn Codes(shares: Vec<Share>) -> impl IntoView {
    let mut failing = 0;
    let classes: Vec<&'static str> = shares
        .iter()
        .map(|share| match share.class {
            Class::Good => "good",
            Class::Redirect => "redirect",
            Class::Caller => "caller",
            // A second error is hatched, not another red.
            Class::Failing | Class::NoAnswer => {
                failing += 1;
                if failing == 1 && share.class == Class::Failing { "failing" } else { "failing hatched" }
            }
        })
        .collect();
    (!shares.is_empty()).then(|| {
        let pieces = shares.iter().zip(&classes).map(|(share, class)| {
            let title = format!("{} {} %", share.code, format::percent(share.percent));
            view! { <i class=*class style=format!("flex-grow:{:.2}", share.percent.max(0.8)) title=title></i> }
        });
        let names = shares.iter().zip(&classes).take(CODES_MAX).map(|(share, class)| {
            let code = if share.code == "-" { t(GraphText::NoAnswer).to_owned() } else { share.code.clone() };
            view! { <span class="code"><i class=*class></i><b>{code}</b>{format!("{} %", format::percent(share.percent))}</span> }
        });
        view! {
            <section>
                <h3>{t(GraphText::Codes)}</h3>
                <div class="codes-bar">{pieces.collect_view()}</div>
                <div class="codes-names">{names.collect_view()}</div>
            </section>
        }
    })
}

/// Reads the traffic of one node or edge over time. `which` is the part of the query that names it.
pub fn timeline_of(board: Board, which: Vec<(&'static str, String)>) -> Feed<Timeline> {
    let path = move || {
        let view = board.ui.view.get();
        let mut query = Query::default();
        query.put("namespaces", &board.namespaces.wanted(&view)?.join(","));
        query.put("duration", &format!("{}s", view.window_s.max(600)));
        if let Some(time) = view.query_time {
            query.put("queryTime", &time.to_string());
        }
        if !which.is_empty() {
            query.put("graphType", view.graph_type.as_str());
        }
        for (key, value) in &which {
            query.put(key, value);
        }
        Some(format!("/api/timeline{}", query.finish()))
    };
    Feed::new(path, move || board.ui.tick.get())
}

#[component]
pub fn RequestsChart(timeline: Feed<Timeline>) -> impl IntoView {
    view! {
        <section>
            <h3 class="with-legend">{t(GraphText::PerSecond)}<span class="grow"></span>
                <span class="series"><i class="all"></i>{t(GraphText::All)}</span><span class="series"><i class="failing"></i>{t(GraphText::FailingSeries)}</span></h3>
            <div class="chart-place">{move || timeline.value.get().map(|line| chart(&line))}</div>
        </section>
    }
}

fn chart(line: &Timeline) -> impl IntoView + use<> {
    let most = line.points.iter().map(|point| point.rate).fold(0.0, f64::max);
    let scale = Scale { from_ms: line.from_ms, to_ms: line.to_ms, top: nice_top(most.max(0.1)), width: CHART_W, height: CHART_H };
    let offset = platform::offset_minutes(line.to_ms);
    // Steps that no scrape has filled yet would draw a fall that did not happen.
    let known = line.last_sample_ms.unwrap_or(line.to_ms);
    let points: Vec<_> = line.points.iter().filter(|p| p.t_ms + line.step_s as i64 * 1000 <= known).collect();
    let all = || points.iter().map(|p| (p.t_ms, p.rate));
    let failing = || points.iter().map(|p| (p.t_ms, p.errors));
    let top = scale.top;
    let error_class = if line.points.iter().any(|p| p.errors > 0.0) { "error-line" } else { "error-line calm" };
    view! {
        <svg class="chart" width="328" height="88" viewBox="-32 -6 336 88" aria-hidden="true">
            {[0.0, 0.5, 1.0].map(|part| {
                let y = CHART_H * (1.0 - part);
                view! { <line class="grid" x1="0" x2=CHART_W y1=y y2=y/><text class="axis end" x="-8" y=y + 3.5>{format::axis(top * part)}</text> }
            }).collect_view()}
            <path class="error-area" d=scale.area(failing())/>
            <path class=error_class d=scale.line(failing())/>
            <path class="all-line" d=scale.line(all())/>
            {line.changes.iter().map(|change| {
                let x = scale.x(change.t_ms);
                view! { <g class="change"><line x1=x x2=x y1="0" y2=CHART_H/><path d=format!("M{} -6h7v8h-7z", x - 3.5)/><title>{format!("{} {}", change.kind, change.name)}</title></g> }
            }).collect_view()}
            {time_ticks(line.from_ms, line.to_ms, offset, 3).into_iter().map(|(at, label)| {
                let x = scale.x(at);
                let class = if x < 20.0 { "axis start" } else if x > CHART_W - 20.0 { "axis last" } else { "axis" };
                view! { <text class=class x=x y=CHART_H + 17.0>{label}</text> }
            }).collect_view()}
        </svg>
    }
}
