//! Every trace as a mark: when it began and how long it took; an area that is drawn around some keeps only those.

use leptos::html;
use leptos::prelude::*;
use sidelight_api::trace::TraceSummary;
use web_sys::PointerEvent;

use super::Shown;
use super::search::change;
use crate::components::icons::{Mark, Sign};
use crate::components::size::watch_size;
use crate::i18n::t;
use crate::i18n::traces::TraceText;
use crate::model::chart::time_ticks;
use crate::model::format;
use crate::model::traces::{Scatter, short_operation};
use crate::platform;
use crate::state::{Step, Ui};

const HEIGHT: f64 = 190.0;
const BARS: usize = 16;
const BAR_WIDTH: f64 = 96.0;
/// A press that moves less than this is a click.
const CLICK_SLACK: f64 = 5.0;
/// A click this near to a mark opens it.
const REACH: f64 = 12.0;

/// An area under the pointer, pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    from: (f64, f64),
    to: (f64, f64),
}

impl Area {
    fn left_top(&self) -> (f64, f64) {
        (self.from.0.min(self.to.0), self.from.1.min(self.to.1))
    }

    fn size(&self) -> (f64, f64) {
        ((self.from.0 - self.to.0).abs(), (self.from.1 - self.to.1).abs())
    }
}

#[component]
pub fn Picture(shown: Memo<Shown>) -> impl IntoView {
    let plot = NodeRef::<html::Div>::new();
    let width = RwSignal::new(1000.0);
    watch_size(plot, move |now, _| width.set(now.max(200.0)));
    let scatter = Memo::new(move |_| {
        shown.with(|shown| {
            Scatter::new(shown.window_us, shown.traces.iter().map(|trace| trace.duration_us), (width.get(), HEIGHT))
        })
    });
    view! {
        <section class="card scatter" data-test="scatter">
            <header>
                <h2>{t(TraceText::DurationOverTime)}</h2><span class="remark">{t(TraceText::ScatterHint)}</span><span class="grow"></span>
                <span class="key"><i class="good"></i>{t(TraceText::Good)}<b>{move || shown.with(|s| s.traces.len() - s.failed)}</b></span>
                <span class="key"><Sign mark=Mark::Failing size=12/>{t(TraceText::Bad)}<b>{move || shown.with(|s| s.failed)}</b></span>
            </header>
            <div class="scatter-body">
                <div class="scatter-plot" node_ref=plot>
                    {move || shown.with(|shown| drawing(shown, scatter.get()))}
                    <Choice shown scatter/>
                </div>
                <div class="scatter-bars"><h3>{t(TraceText::ByDuration)}</h3>{move || shown.with(|shown| bars(shown, &scatter.get()))}</div>
            </div>
        </section>
    }
}

fn drawing(shown: &Shown, scatter: Scatter) -> impl IntoView + use<> {
    let width = scatter.width;
    let to_ms = scatter.to_us / 1000;
    let ticks = time_ticks(scatter.from_us / 1000, to_ms, platform::offset_minutes(to_ms), (width / 120.0) as usize);
    let levels = [("p50", shown.p50_us), ("p95", shown.p95_us)];
    // Failed ones last, so that no good one lies over them.
    let (failed, good): (Vec<&TraceSummary>, Vec<&TraceSummary>) = shown.traces.iter().partition(|trace| trace.errors > 0);
    let marks: Vec<_> = good.into_iter().chain(failed).map(|trace| mark(trace, &scatter)).collect();
    view! {
        <svg class="scatter-svg" width=width height=HEIGHT + 24.0 role="img" aria-label=t(TraceText::DurationOverTime)>
            {scatter.ticks().into_iter().map(|us| {
                let y = scatter.y(us);
                view! { <line class="grid" x1="0" x2=width y1=y y2=y/><text class="axis end" x="-8" y=y + 3.5>{format::micros(us)}</text> }
            }).collect_view()}
            {ticks.into_iter().map(|(at, label)| {
                let x = scatter.x(at * 1000);
                let anchor = if x < 24.0 { "axis start" } else if x > width - 24.0 { "axis last" } else { "axis" };
                view! { <text class=anchor x=x y=HEIGHT + 18.0>{label}</text> }
            }).collect_view()}
            {levels.into_iter().filter_map(|(name, us)| us.map(|us| {
                let y = scatter.y(us);
                view! { <line class="level" x1="0" x2=width y1=y y2=y/><text class="axis start" x=width + 6.0 y=y + 3.5>{name}</text> }
            })).collect_view()}
            {marks}
        </svg>
    }
}

/// A hollow circle, or an octagon for a trace with an error.
fn mark(trace: &TraceSummary, scatter: &Scatter) -> impl IntoView + use<> {
    let (x, y) = (scatter.x(trace.start_us), scatter.y(trace.duration_us));
    let title = format!("{} · {} · {}", short_operation(&trace.root.name), format::micros(trace.duration_us), trace.trace_id);
    if trace.errors > 0 {
        let sign = format!("M{:.1} {:.1}h4.8l3.4 3.4v4.8l-3.4 3.4h-4.8l-3.4-3.4v-4.8z", x - 2.4, y - 5.8);
        view! { <path class="trace-mark failed" d=sign><title>{title}</title></path> }.into_any()
    } else {
        view! { <circle class="trace-mark" cx=x cy=y r="3.4"><title>{title}</title></circle> }.into_any()
    }
}

fn bars(shown: &Shown, scatter: &Scatter) -> impl IntoView + use<> {
    let counts = scatter.histogram(shown.traces.iter(), BARS);
    let most = counts.iter().map(|(good, failed)| good + failed).max().unwrap_or(1).max(1) as f64;
    let height = HEIGHT / BARS as f64;
    let bars = counts.into_iter().enumerate().map(|(bar, (good, failed))| {
        let y = HEIGHT - (bar + 1) as f64 * height + 1.0;
        let (good, failed) = (good as f64 / most * BAR_WIDTH, failed as f64 / most * BAR_WIDTH);
        view! {
            <rect class="good" x="0" y=y width=good height=height - 2.0/>
            <rect class="failed" x=good y=y width=failed height=height - 2.0/>
        }
    });
    view! { <svg width=BAR_WIDTH height=HEIGHT aria-hidden="true">{bars.collect_view()}</svg> }
}

/// The area that is being drawn; a click opens the trace under it.
#[component]
fn Choice(shown: Memo<Shown>, scatter: Memo<Scatter>) -> impl IntoView {
    let ui = Ui::get();
    let root = NodeRef::<html::Div>::new();
    let area = RwSignal::new(None::<Area>);
    let at = move |event: &PointerEvent| {
        let rect = root.get_untracked().map(|element| element.get_bounding_client_rect());
        let (left, top) = rect.map_or((0.0, 0.0), |rect| (rect.x(), rect.y()));
        (f64::from(event.client_x()) - left, f64::from(event.client_y()) - top)
    };
    let on_down = move |event: PointerEvent| {
        if let Some(element) = root.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
        area.set(Some(Area { from: at(&event), to: at(&event) }));
    };
    let on_move = move |event: PointerEvent| {
        let to = at(&event);
        area.update(|area| {
            if let Some(area) = area {
                area.to = to;
            }
        });
    };
    let on_up = move |_| {
        let Some(drawn) = area.get_untracked() else { return };
        area.set(None);
        let (width, height) = drawn.size();
        if width.max(height) < CLICK_SLACK {
            let under =
                |shown: &Shown| scatter.get_untracked().nearest(&shown.traces, drawn.to, REACH).map(|t| t.trace_id.clone());
            if let Some(id) = shown.with_untracked(under) {
                ui.open(&format!("/traces/{id}"));
            }
            return;
        }
        keep(ui, &scatter.get_untracked(), drawn);
    };
    let style = move || {
        area.get().map(|area| {
            let ((x, y), (w, h)) = (area.left_top(), area.size());
            format!("left:{x:.0}px;top:{y:.0}px;width:{w:.0}px;height:{h:.0}px")
        })
    };
    view! {
        <div class="scatter-choice" node_ref=root on:pointerdown=on_down on:pointermove=on_move on:pointerup=on_up on:pointercancel=move |_| area.set(None)>
            {move || style().map(|style| view! { <i style=style></i> })}
        </div>
    }
}

/// The time and the durations of the area become the search; "back" undoes it.
fn keep(ui: Ui, scatter: &Scatter, area: Area) {
    let ((x, y), (w, h)) = (area.left_top(), area.size());
    let (from_us, to_us) = (scatter.time_at(x), scatter.time_at(x + w));
    let (min, max) = (scatter.duration_at(y + h), scatter.duration_at(y));
    ui.update(Step::Push, |view| {
        change(view, |search| {
            search.min = Some(format!("{min}us"));
            search.max = Some(format!("{max}us"));
        });
        view.query_time = Some(to_us.div_euclid(1_000_000) + 1);
        view.window_s = (((to_us - from_us) / 1_000_000) as u64 + 1).max(10);
    });
}
