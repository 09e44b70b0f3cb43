//! One trace: facts, the whole of it as a map, the waterfall, where the time went, and the span that is looked at.

mod facts;
mod map;
mod panel;
mod rows;
mod time_went;

use std::collections::BTreeSet;
use std::sync::Arc;

use leptos::ev;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sidelight_api::trace::{Trace, TraceSpan};
use web_sys::KeyboardEvent;

use crate::client::Feed;
use crate::components::icons::{Glyph, Icon};
use crate::components::states::{CopyButton, Failed};
use crate::i18n::t;
use crate::i18n::traces::TraceText;
use crate::model::traces::{short_operation, short_service};
use crate::model::view::{Query, Selection};
use crate::model::waterfall::{Waterfall, mentions};
use crate::platform;
use crate::state::{Step, Ui};

/// A trace that ended this long ago has all its spans, as good as always; until then it is read again.
const COMPLETE_AFTER_MS: i64 = 60_000;

/// What is looked at of one trace; cheap to copy.
#[derive(Clone, Copy)]
struct Looking {
    ui: Ui,
    trace: Memo<Arc<Trace>>,
    waterfall: Memo<Waterfall>,
    folded: RwSignal<BTreeSet<usize>>,
    only_failed: RwSignal<bool>,
    /// The stretch of time that the waterfall shows; `None` is all of it.
    zoom: RwSignal<Option<(i64, i64)>>,
    /// Places of the spans that show.
    visible: Memo<Vec<usize>>,
    chosen: Memo<Option<usize>>,
}

impl Looking {
    fn at(trace: Memo<Arc<Trace>>) -> Self {
        let ui = Ui::get();
        let waterfall = Memo::new(move |_| trace.with(|trace| Waterfall::new(trace)));
        let folded = RwSignal::new(BTreeSet::new());
        let only_failed = RwSignal::new(false);
        let visible = Memo::new(move |_| {
            let find = ui.view.with(|view| view.find.trim().to_owned());
            let failed = only_failed.get();
            let keeps = |span: &TraceSpan| (!failed || span.is_error) && (find.is_empty() || mentions(span, &find));
            trace.with(|trace| {
                waterfall.with(|waterfall| folded.with(|folded| waterfall.visible(folded, |place| keeps(&trace.spans[place]))))
            })
        });
        let chosen = Memo::new(move |_| {
            let wanted = ui.view.with(|view| match &view.selection {
                Some(Selection::Node(id)) => Some(id.clone()),
                _ => None,
            })?;
            trace.with(|trace| trace.spans.iter().position(|span| name_of(span) == wanted))
        });
        Self { ui, trace, waterfall, folded, only_failed, zoom: RwSignal::new(None), visible, chosen }
    }

    fn choose(self, place: Option<usize>) {
        let name = place.and_then(|place| self.trace.with_untracked(|trace| trace.spans.get(place).map(name_of)));
        self.ui.update(Step::Replace, |view| view.selection = name.map(Selection::Node));
    }

    fn fold(self, place: usize, fold: bool) {
        self.folded.update(|folded| {
            let _ = if fold { folded.insert(place) } else { folded.remove(&place) };
        });
    }

    /// From and to of what the waterfall shows.
    fn window(self) -> (i64, i64) {
        self.zoom.get().unwrap_or_else(|| self.waterfall.with(|waterfall| (waterfall.from_us, waterfall.to_us)))
    }
}

/// Both sides of an exchange may share one id, so their kind belongs to the name.
fn name_of(span: &TraceSpan) -> String {
    format!("{}.{}", span.span_id, span.kind)
}

#[component]
pub fn TracePage() -> impl IntoView {
    let ui = Ui::get();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let address = move || {
        let mut path = "/api/traces/".to_owned();
        crate::model::view::percent_encode(&id.get(), &mut path);
        path
    };
    let complete = RwSignal::new(false);
    let feed = Feed::<Trace>::new(move || Some(address()), move || if complete.get() { 0 } else { ui.tick.get() });
    Effect::new(move |_| {
        let end_ms =
            feed.value.with(|trace| trace.as_ref().map(|trace| (trace.summary.start_us + trace.summary.duration_us) / 1000));
        complete.set(end_ms.is_some_and(|end| platform::now_ms() - end > COMPLETE_AFTER_MS));
    });
    let retry = Callback::new(move |()| ui.refresh_now());
    let is_there = Memo::new(move |_| feed.value.with(Option::is_some));
    move || match (is_there.get(), feed.failure.get()) {
        (false, Some(failure)) => view! { <Failed title=t(TraceText::FailedOne) failure retry/> }.into_any(),
        (false, None) => view! { <Bones/> }.into_any(),
        (true, _) => {
            let trace =
                Memo::new(move |before: Option<&Arc<Trace>>| feed.value.get().or_else(|| before.cloned()).unwrap_or_default());
            view! { <Whole looking=Looking::at(trace)/> }.into_any()
        }
    }
}

#[component]
fn Whole(looking: Looking) -> impl IntoView {
    listen_to_keys(looking);
    view! {
        <div class="trace-page" class:with-panel=move || looking.chosen.with(Option::is_some)>
            <Title looking/>
            <facts::Facts looking/>
            <div class="trace-main">
                <div class="trace-left">
                    <Tools looking/>
                    <map::Map looking/>
                    <rows::Rows looking/>
                    <time_went::TimeWent looking/>
                </div>
                {move || looking.chosen.get().map(|place| view! { <panel::Panel looking place/> })}
            </div>
        </div>
    }
}

#[component]
fn Title(looking: Looking) -> impl IntoView {
    let ui = looking.ui;
    let summary = move || looking.trace.with(|trace| trace.summary.clone());
    let id = Memo::new(move |_| summary().trace_id);
    let graph = move || {
        let mut query = Query::default();
        query.put("find", short_service(&summary().root.service));
        let shared = ui.link("/graph");
        format!("{shared}{}{}", if shared.contains('?') { "&" } else { "?" }, query.finish().trim_start_matches('?'))
    };
    view! {
        <div class="title-row">
            <a class="back" href=move || ui.link("/traces")><Glyph icon=Icon::ChevronLeft/>{t(TraceText::Back)}</a>
            <h1>{move || short_operation(&summary().root.name).to_owned()}</h1>
            <code data-test="trace-id">{move || id.get()}</code><CopyButton text=Signal::derive(move || id.get())/>
            <span class="grow"></span>
            <a class="button" href=graph><Glyph icon=Icon::Graph/>{t(TraceText::ShowInGraph)}</a>
            <a class="button" href=move || format!("/api/traces/{}", id.get()) target="_blank" rel="noopener external">"{ } "{t(TraceText::RawJson)}</a>
        </div>
    }
}

#[component]
fn Tools(looking: Looking) -> impl IntoView {
    let ui = looking.ui;
    let failed = move || looking.trace.with(|trace| trace.summary.errors);
    let all = move || looking.trace.with(|trace| trace.spans.len());
    let only = looking.only_failed;
    view! {
        <div class="trace-tools">
            <label class="filter-bar"><Glyph icon=Icon::Search/>
                <input id="find" type="search" placeholder=t(TraceText::FindInTrace) aria-label=t(TraceText::FindInTrace) data-test="trace-find"
                    prop:value=move || ui.view.with(|view| view.find.clone())
                    on:input=move |event| ui.update(Step::Replace, |view| view.find = event_target_value(&event))/>
            </label>
            <div class="segments" role="radiogroup">
                <button type="button" role="radio" class:chosen=move || !only.get() aria-checked=move || (!only.get()).to_string() on:click=move |_| only.set(false)>
                    {move || crate::i18n::fill(TraceText::All, &[&all()])}</button>
                <button type="button" role="radio" class:chosen=move || only.get() aria-checked=move || only.get().to_string() on:click=move |_| only.set(true)>
                    {move || crate::i18n::fill(TraceText::OnlyFailed, &[&failed()])}</button>
            </div>
            <span class="remark keys-hint">{t(TraceText::KeysHint)}</span>
            <span class="grow"></span>
            <span class="key"><i class="waiting"></i>{t(TraceText::Waiting)}</span>
            <span class="key"><i class="own"></i>{t(TraceText::OwnTime)}</span>
            <span class="key"><i class="critical"></i>{t(TraceText::CriticalPath)}</span>
        </div>
    }
}

/// Arrows move and fold, `e` goes to the next error.
fn listen_to_keys(looking: Looking) {
    let handle = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || platform::typing(&event) || event.default_prevented() {
            return;
        }
        let chosen = looking.chosen.get_untracked();
        match (event.key().as_str(), chosen) {
            ("ArrowDown", _) => step(looking, 1, |_| true),
            ("ArrowUp", _) => step(looking, -1, |_| true),
            ("ArrowLeft", Some(place)) => looking.fold(place, true),
            ("ArrowRight", Some(place)) => looking.fold(place, false),
            ("e", _) => step(looking, 1, |span| span.is_error),
            ("Escape", Some(_)) => looking.choose(None),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}

/// To the next row that fits, from the top again after the last.
fn step(looking: Looking, by: isize, fits: impl Fn(&TraceSpan) -> bool) {
    let rows = looking.visible.get_untracked();
    let here = looking.chosen.get_untracked().and_then(|place| rows.iter().position(|row| *row == place));
    let count = rows.len() as isize;
    let start = here.map_or(if by > 0 { -1 } else { count }, |row| row as isize);
    let next = (1..=count).map(|n| (start + by * n).rem_euclid(count.max(1)) as usize);
    let next = looking.trace.with_untracked(|trace| next.map(|row| rows[row]).find(|place| fits(&trace.spans[*place])));
    if next.is_some() {
        looking.choose(next);
    }
}

/// The outline of the page.
#[component]
fn Bones() -> impl IntoView {
    let rows = (0..12).map(|_| view! { <div class="bone-row"><span class="bone"></span><span class="bone wide"></span></div> });
    view! { <div class="page-body" role="status" data-test="loading"><div class="title-row"><span class="bone wide"></span></div><section class="card">{rows.collect_view()}</section></div> }
}
