//! The waterfall: one row for each span that shows, only those near the window drawn.

use leptos::html;
use leptos::prelude::*;
use sidelight_api::trace::TraceSpan;

use super::{Looking, name_of};
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::size::watch_size;
use crate::i18n::t;
use crate::i18n::traces::TraceText;
use crate::model::format;
use crate::model::traces::{short_operation, short_service};
use crate::model::waterfall::{Stretches, axis, callee, code, flags, path};

const ROW: f64 = 32.0;
/// Rows that are drawn above and below the window.
const SPARE: usize = 12;
/// Steps of the axis that are wished for.
const TICKS: usize = 6;
/// From this part of the width on, the duration stands left of the bar's end.
const LATE: f64 = 86.0;
/// A bar that begins before this part has no room for it either.
const EARLY: f64 = 14.0;

#[component]
pub fn Rows(looking: Looking) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let (top, height) = (RwSignal::new(0.0), RwSignal::new(600.0));
    watch_size(root, move |_, now| height.set(now));
    let on_scroll = move |_| {
        if let Some(element) = root.get_untracked() {
            top.set(f64::from(element.scroll_top()));
        }
    };
    let drawn = Memo::new(move |_| {
        let count = looking.visible.with(Vec::len);
        let first = ((top.get() / ROW) as usize).saturating_sub(SPARE).min(count);
        let last = (((top.get() + height.get()) / ROW) as usize + SPARE).min(count);
        (first, last)
    });
    let places = move || {
        let (first, last) = drawn.get();
        looking.visible.with(|rows| rows.get(first..last).unwrap_or_default().to_vec())
    };
    keep_in_sight(looking, root, height);
    // A row is drawn anew when its span changes, which it does while a trace is still coming in.
    let key = move |place: &usize| {
        looking.trace.with(|trace| trace.spans.get(*place).map(|s| (*place, name_of(s), s.duration_us, s.critical_us)))
    };
    view! {
        <div class="trace-axis"><span>{t(TraceText::ServiceOperation)}</span><div class="ticks">{move || ticks(looking)}</div></div>
        <div class="trace-rows" node_ref=root on:scroll=on_scroll role="tree" data-test="waterfall">
            <div class="trace-rows-all" style=move || format!("height:{}px", looking.visible.with(Vec::len) as f64 * ROW)>
                <div style=move || format!("transform:translateY({}px)", drawn.get().0 as f64 * ROW)>
                    <For each=places key=key let:place><Row looking place/></For>
                </div>
            </div>
            <Show when=move || looking.visible.with(Vec::is_empty)><p class="remark nothing">{t(TraceText::NothingFits)}</p></Show>
        </div>
    }
}

/// The chosen row, which keys may have moved, is scrolled to.
fn keep_in_sight(looking: Looking, root: NodeRef<html::Div>, height: RwSignal<f64>) {
    Effect::new(move |_| {
        let Some(place) = looking.chosen.get() else { return };
        let row = looking.visible.with_untracked(|rows| rows.iter().position(|row| *row == place));
        let (Some(row), Some(element)) = (row, root.get_untracked()) else { return };
        let (y, top) = (row as f64 * ROW, f64::from(element.scroll_top()));
        if y < top {
            element.set_scroll_top(y as i32);
        } else if y + ROW > top + height.get_untracked() {
            element.set_scroll_top((y + ROW - height.get_untracked()) as i32);
        }
    });
}

fn ticks(looking: Looking) -> impl IntoView {
    let (from, to) = looking.window();
    let offset = from - looking.waterfall.with(|waterfall| waterfall.from_us);
    let ticks = axis(to - from, TICKS).into_iter().map(move |us| {
        let left = us as f64 / (to - from).max(1) as f64 * 100.0;
        view! { <span style=format!("left:{left:.2}%")>{format::micros(us + offset)}</span> }
    });
    ticks.collect_view()
}

#[component]
fn Row(looking: Looking, place: usize) -> impl IntoView {
    let span = looking.trace.with_untracked(|trace| trace.spans[place].clone());
    let below = looking.waterfall.with_untracked(|waterfall| waterfall.below[place]);
    let here = move || looking.chosen.get() == Some(place);
    let is_folded = move || looking.folded.with(|folded| folded.contains(&place));
    let toggle = move |event: web_sys::MouseEvent| {
        event.stop_propagation();
        looking.fold(place, !is_folded());
    };
    let indent = format!("padding-left:{}px", 12 + span.depth.min(24) * 13);
    view! {
        <div class="trace-row" class:here=here role="treeitem" aria-selected=move || here().to_string() attr:aria-level=span.depth + 1
            data-test="span" data-service=span.service.clone() data-depth=span.depth on:click=move |_| looking.choose(Some(place))>
            <div class="trace-name" style=indent>
                {if below > 0 {
                    let name = move || t(if is_folded() { TraceText::Unfold } else { TraceText::Fold });
                    view! { <button type="button" class="fold" aria-label=name aria-expanded=move || (!is_folded()).to_string() on:click=toggle>
                        {move || view! { <Glyph icon=if is_folded() { Icon::Right } else { Icon::Down } size=14/> }}</button> }.into_any()
                } else {
                    view! { <span class="fold"></span> }.into_any()
                }}
                {title(&span)}
                {move || is_folded().then(|| view! { <span class="count">{format!("+{below}")}</span> })}
            </div>
            <div class="trace-bar">{move || bar(looking, place)}</div>
        </div>
    }
}

/// Who did what: `productpage → reviews /reviews/0`, with what went wrong.
fn title(span: &TraceSpan) -> impl IntoView + use<> {
    let called = callee(span).map(|callee| format!(" → {callee}"));
    let operation = path(span).unwrap_or_else(|| short_operation(&span.name)).to_owned();
    let full = format!("{} · {}", span.service, span.name);
    let wrong = span.is_error || flags(span).is_some();
    let words = [code(span), flags(span)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    view! {
        <span class="trace-title" title=full><b>{short_service(&span.service).to_owned()}</b><span>{called}</span><code>{operation}</code></span>
        {(wrong && !words.is_empty()).then(|| view! { <span class="badge" class:bad=span.is_error>{words}</span> })}
        {span.is_error.then(|| view! { <Sign mark=Mark::Failing size=14/> })}
    }
}

fn bar(looking: Looking, place: usize) -> impl IntoView {
    let (from, to) = looking.window();
    let length = (to - from).max(1) as f64;
    let part = |us: i64| (us - from) as f64 / length * 100.0;
    let stretch = |(start, end): (i64, i64)| (part(start).max(0.0), part(end).min(100.0));
    let (start, duration, is_error) = looking.trace.with(|trace| {
        let span = &trace.spans[place];
        (span.start_us, span.duration_us, span.is_error)
    });
    let pieces = |class: &'static str, stretches: &Stretches| {
        let shown = stretches.iter().map(|piece| stretch(*piece)).filter(|(a, b)| b > a);
        shown.map(|(a, b)| view! { <i class=class style=style(a, b)></i> }).collect::<Vec<_>>()
    };
    let (own, critical) = looking
        .waterfall
        .with(|waterfall| (pieces("own", &waterfall.own[place]), pieces("critical", &waterfall.critical[place])));
    let (a, b) = stretch((start, start + duration));
    // Behind the bar; near the end of the row before it; inside a bar that fills the row.
    let (side, label) = match (b > LATE, a > EARLY) {
        (false, _) => ("length", format!("left:{b:.2}%")),
        (true, true) => ("length before", format!("right:{:.2}%", 100.0 - a)),
        (true, false) => ("length inside", "right:0".to_owned()),
    };
    let is_seen = part(start + duration) >= 0.0 && part(start) <= 100.0;
    is_seen.then(|| {
        view! {
            <div class="pieces" class:failed=is_error><i class="whole" style=style(a, b)></i>{own}{critical}</div>
            <span class=side class:bad=is_error style=label>{format::micros(duration)}</span>
        }
    })
}

fn style(from: f64, to: f64) -> String {
    format!("left:{from:.3}%;width:{:.3}%", to - from)
}
