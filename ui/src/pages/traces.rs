//! The search for traces: a field, durations over time, and a table.

mod scatter;
mod search;
mod table;

use leptos::prelude::*;
use sidelight_api::trace::{TraceList, TraceSummary};

use crate::client::Feed;
use crate::components::states::Failed;
use crate::i18n::traces::TraceText;
use crate::i18n::{fill, t};
use crate::model::traces::{Search, quantile, touches};
use crate::platform;
use crate::state::{Step, Ui};

/// Seconds that the way out of an empty list offers.
const LONGER_WINDOW_S: u64 = 3600;

/// What one answer comes to on this page.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    traces: Vec<TraceSummary>,
    is_cut: bool,
    /// Microseconds of the Unix epoch.
    window_us: (i64, i64),
    p50_us: Option<i64>,
    p95_us: Option<i64>,
    failed: usize,
}

#[component]
pub fn TracesPage() -> impl IntoView {
    let ui = Ui::get();
    let search = Memo::new(move |_| ui.view.with(|view| Search::parse(&view.find)));
    let request = move || search.with(|search| search.as_ref().ok().map(|search| ui.view.with(|view| search.request(view))));
    let feed = Feed::<TraceList>::new(request, move || ui.tick.get());
    let shown = Memo::new(move |_| feed.value.get().map(|list| shown(&list, ui)));
    let retry = Callback::new(move |()| ui.refresh_now());
    let state = Memo::new(move |_| (shown.with(|shown| shown.as_ref().map(|shown| shown.traces.is_empty())), feed.failure.get()));
    let body = move || match state.get() {
        (None | Some(true), Some(failure)) => view! { <Failed title=t(TraceText::Failed) failure retry/> }.into_any(),
        (None, None) => view! { <Bones/> }.into_any(),
        (Some(true), None) => view! { <Empty/> }.into_any(),
        (Some(false), _) => {
            let filled = Memo::new(move |before: Option<&Shown>| shown.get().or_else(|| before.cloned()).unwrap_or_else(nothing));
            view! { <scatter::Picture shown=filled/><table::Table shown=filled/> }.into_any()
        }
    };
    view! {
        <div class="page-body traces-page">
            <div class="title-row"><h1>{t(TraceText::Title)}</h1><span class="remark" data-test="summary">{move || shown.with(|shown| shown.as_ref().map(summary))}</span></div>
            <search::SearchBar shown/>
            {body}
        </div>
    }
}

fn nothing() -> Shown {
    Shown { traces: Vec::new(), is_cut: false, window_us: (0, 1), p50_us: None, p95_us: None, failed: 0 }
}

fn shown(list: &TraceList, ui: Ui) -> Shown {
    let view = ui.view.get();
    let traces: Vec<TraceSummary> = list.traces.iter().filter(|trace| touches(trace, &view.namespaces)).cloned().collect();
    let to_ms = view.query_time.map_or_else(platform::now_ms, |s| s * 1000);
    let mut durations: Vec<i64> = traces.iter().map(|trace| trace.duration_us).collect();
    durations.sort_unstable();
    Shown {
        is_cut: list.is_cut,
        window_us: ((to_ms - view.window_s as i64 * 1000) * 1000, to_ms * 1000),
        p50_us: quantile(&durations, 0.5),
        p95_us: quantile(&durations, 0.95),
        failed: traces.iter().filter(|trace| trace.errors > 0).count(),
        traces,
    }
}

fn summary(shown: &Shown) -> String {
    let found = if shown.is_cut { TraceText::Newest } else { TraceText::Found };
    let mut words = fill(found, &[&shown.traces.len()]);
    if shown.failed > 0 {
        words.push_str(" · ");
        words.push_str(&fill(TraceText::WithErrors, &[&shown.failed]));
    }
    words
}

#[component]
fn Empty() -> impl IntoView {
    let ui = Ui::get();
    let is_searched = move || ui.view.with(|view| !view.find.is_empty());
    let is_short = move || ui.view.with(|view| view.window_s < LONGER_WINDOW_S);
    view! {
        <section class="notice" data-test="empty">
            <h1>{move || t(if is_searched() { TraceText::NoneFits } else { TraceText::None })}</h1>
            <p class="remark">{t(TraceText::NoneHint)}</p>
            <div class="actions">
                <Show when=is_searched>
                    <button type="button" class="button" on:click=move |_| ui.update(Step::Push, |view| view.find.clear())>{t(TraceText::ClearSearch)}</button>
                </Show>
                <Show when=is_short>
                    <button type="button" class="button" on:click=move |_| ui.update(Step::Push, |view| view.window_s = LONGER_WINDOW_S)>{t(TraceText::LongerWindow)}</button>
                </Show>
            </div>
        </section>
    }
}

/// The outline of the page.
#[component]
fn Bones() -> impl IntoView {
    let rows = (0..10).map(|_| view! { <div class="bone-row"><span class="bone short"></span><span class="bone wide"></span><span class="bone"></span></div> });
    view! {
        <section class="card scatter" role="status" data-test="loading"></section>
        <section class="card traces-table">{rows.collect_view()}</section>
    }
}
