//! The graph page when there is no graph, or an old one.

use leptos::prelude::*;

use super::board::Board;
use crate::components::header::window_words;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::Failed;
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::model::view::WINDOWS_S;
use crate::platform;
use crate::state::Step;

/// Telemetry older than this is worth a strip across the page.
const STALE_AFTER_MS: i64 = 60_000;

/// Says since when the numbers stand still, and why; the old graph stays under it.
#[component]
pub fn StaleStrip(board: Board) -> impl IntoView {
    let reason = Memo::new(move |_| {
        let shown = board.graph.value.with(|graph| graph.as_ref().map(|g| (g.last_sample_ms, g.timestamp)))?;
        if let Some(failure) = board.graph.failure.get() {
            return Some((shown.1 * 1000, fill(GraphText::StaleFailed, &[&failure.message])));
        }
        let live = board.ui.view.with(|view| view.query_time.is_none());
        let last = shown.0?;
        let stale = live && board.ui.now_ms.get() - last > STALE_AFTER_MS;
        stale.then(|| (last, t(GraphText::StaleSilent).to_owned()))
    });
    move || {
        reason.get().map(|(since, why)| {
            let time = format::time_of_day(since, platform::offset_minutes(since));
            view! {
                <div class="stale-strip warn" role="status" data-test="stale">
                    <Sign mark=Mark::Degraded/>
                    <b>{fill(GraphText::StaleTitle, &[&time])}</b><span>{why}</span>
                    <span class="grow"></span>
                    <button type="button" class="button small" on:click=move |_| board.ui.refresh_now()><Glyph icon=Icon::Refresh size=14/>{t(GraphText::TryNow)}</button>
                </div>
            }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Loading,
    Empty,
    Failed,
    Filled,
}

/// Loading, empty or failed, in the place of the graph.
#[component]
pub fn Notice(board: Board) -> impl IntoView {
    let nowhere = move || {
        board.namespaces.0.value.with(|list| list.as_ref().is_some_and(|list| list.is_empty()))
            && board.ui.view.with(|view| view.namespaces.is_empty())
    };
    let state = Memo::new(move |_| {
        let drawn = board.picture.with(|p| p.as_ref().map(|p| p.scene.cards.is_empty()));
        let failed = board.graph.failure.with(Option::is_some) || board.namespaces.0.failure.with(Option::is_some);
        match drawn {
            Some(false) => State::Filled,
            _ if nowhere() => State::Empty,
            Some(true) => State::Empty,
            None if failed => State::Failed,
            None => State::Loading,
        }
    });
    let retry = Callback::new(move |()| board.ui.refresh_now());
    move || match state.get() {
        State::Filled => ().into_any(),
        State::Loading => view! { <Skeleton board/> }.into_any(),
        State::Empty => view! { <Empty board/> }.into_any(),
        State::Failed => {
            let failure = board.graph.failure.get().or_else(|| board.namespaces.0.failure.get());
            failure
                .map(|failure| view! { <div class="notice-place"><Failed title=t(GraphText::Failed) failure retry/></div> })
                .into_any()
        }
    }
}

/// The outline of a graph, in the size of its cards.
#[component]
fn Skeleton(board: Board) -> impl IntoView {
    const CARDS: [(f64, f64); 6] = [(250.0, 40.0), (250.0, 200.0), (42.0, 360.0), (250.0, 360.0), (458.0, 360.0), (250.0, 520.0)];
    const LINES: [&str; 5] = [
        "M342 100C342 152 342 148 342 200",
        "M314 260C314 312 134 308 134 360",
        "M342 260C342 312 342 308 342 360",
        "M370 260C370 312 550 308 550 360",
        "M342 420C342 472 342 468 342 520",
    ];
    let words = fill(GraphText::LoadingGraph, &[&board.ui.view.with_untracked(|view| window_words(view.window_s))]);
    view! {
        <div class="skeleton" role="status" aria-label=words data-test="loading">
            <svg viewBox="0 0 684 620" aria-hidden="true">
                {LINES.map(|d| view! { <path d=d/> }).collect_view()}
                {CARDS.map(|(x, y)| view! {
                    <g transform=format!("translate({x},{y})")>
                        <rect class="outline" width="184" height="60" rx="8"/>
                        <circle cx="17" cy="19" r="6"/>
                        <rect x="30" y="15" width="84" height="8" rx="4"/>
                        <rect x="10" y="37" width="132" height="10" rx="5"/>
                    </g>
                }).collect_view()}
            </svg>
            <p class="remark">{words.clone()}</p>
        </div>
    }
}

/// Why there is nothing to draw, and what to do about it.
#[component]
fn Empty(board: Board) -> impl IntoView {
    move || empty(board)
}

fn empty(board: Board) -> impl IntoView + use<> {
    let view = board.ui.view.get();
    let title = match view.namespaces.as_slice() {
        [] => t(GraphText::EmptyTitle).to_owned(),
        names => fill(GraphText::EmptyIn, &[&names.join(", ")]),
    };
    let end = view.query_time.map_or_else(platform::now_ms, |s| s * 1000);
    let start = end - view.window_s as i64 * 1000;
    let clock = |at: i64| format::hour_minute(at, platform::offset_minutes(at));
    let wider = WINDOWS_S.into_iter().find(|s| *s > view.window_s);
    let idle = view.idle;
    view! {
        <div class="notice-place">
            <section class="notice" data-test="empty">
                <h1>{title}</h1>
                <p class="remark">{fill(GraphText::EmptyRange, &[&clock(start), &clock(end)])}</p>
                <hr/>
                {reasons(board)}
                <div class="actions">
                    {wider.map(|seconds| view! {
                        <button type="button" class="button primary" on:click=move |_| board.ui.update(Step::Push, |view| view.window_s = seconds)>
                            {fill(GraphText::Wider, &[&window_words(seconds).to_lowercase()])}
                        </button>
                    })}
                    {(!idle).then(|| view! {
                        <button type="button" class="button" on:click=move |_| board.ui.update(Step::Push, |view| view.idle = true)>{t(GraphText::ShowIdle)}</button>
                    })}
                    <a class="button" href=move || board.ui.link("/mesh")>{t(GraphText::SeeProxies)}</a>
                </div>
            </section>
        </div>
    }
}

fn reasons(board: Board) -> impl IntoView + use<> {
    let chosen = board.ui.view.with(|view| view.namespaces.clone());
    let list = board.namespaces.0.value.get();
    let workloads: u32 = list
        .iter()
        .flat_map(|list| list.iter())
        .filter(|n| chosen.is_empty() || chosen.contains(&n.name))
        .map(|n| n.workloads)
        .sum();
    let nowhere = list.as_ref().is_some_and(|list| list.is_empty());
    let last = board.graph.value.with(|graph| graph.as_ref().and_then(|g| g.last_sample_ms));
    let age = match last {
        Some(at) => fill(GraphText::EmptyLast, &[&format::age(platform::now_ms() - at)]),
        None => t(GraphText::EmptyNever).to_owned(),
    };
    view! {
        {if nowhere {
            view! { <p><Sign mark=Mark::Degraded/>" "{t(GraphText::EmptyNoNamespaces)}</p> }.into_any()
        } else {
            view! { <p>{fill(GraphText::EmptyWorkloads, &[&workloads])}</p><p>{age}</p> }.into_any()
        }}
        {(!board.ui.view.with(|view| view.idle)).then(|| view! { <p class="remark">{t(GraphText::EmptyIdle)}</p> })}
    }
}
