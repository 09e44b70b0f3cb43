//! Edges: lines under the traffic, pills over it.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::board::Board;
use super::cards::sign_of;
use crate::components::icons::Icon;
use crate::i18n::fill;
use crate::i18n::graph::GraphText;
use crate::model::picture::{Pill, stroke_width};
use crate::model::route::{PILL_HEIGHT, Route};
use crate::model::scene::{Link, Tone};
use crate::model::view::Selection;

fn ids(board: Board) -> Vec<String> {
    board.picture.with(|p| p.as_ref().map(|p| p.scene.links.iter().map(|l| l.edge.id.clone()).collect()).unwrap_or_default())
}

#[component]
pub fn Lines(board: Board) -> impl IntoView {
    view! { <For each=move || ids(board) key=Clone::clone let:id><LineView board id/></For> }
}

#[component]
pub fn Pills(board: Board) -> impl IntoView {
    view! { <For each=move || ids(board) key=Clone::clone let:id><PillView board id/></For> }
}

#[derive(Clone, PartialEq)]
struct Look {
    link: Link,
    route: Route,
    pill: Pill,
    from: String,
    to: String,
}

#[derive(Clone, Copy, PartialEq)]
struct Lit {
    faded: bool,
    hit: bool,
    selected: bool,
}

/// What both views of an edge watch.
#[derive(Clone, Copy)]
struct Watched {
    look: Memo<Option<Look>>,
    lit: Memo<Lit>,
    id: StoredValue<String>,
}

fn watch(board: Board, id: String) -> Watched {
    let id = StoredValue::new(id);
    let index = Memo::new(move |_| board.picture.with(|p| p.as_ref().and_then(|p| id.with_value(|id| p.link(id)))));
    let look = Memo::new(move |_| {
        board.picture.with(|picture| {
            let (picture, index) = (picture.as_ref()?, index.get()?);
            let link = picture.scene.links.get(index)?.clone();
            Some(Look {
                route: picture.routes.get(index)?.clone(),
                pill: picture.pills.get(index)?.clone(),
                from: picture.scene.cards.get(link.from)?.handle.clone(),
                to: picture.scene.cards.get(link.to)?.handle.clone(),
                link,
            })
        })
    });
    let lit = Memo::new(move |_| {
        let index = index.get().unwrap_or(usize::MAX);
        Lit {
            faded: board.focus.with(|focus| focus.as_ref().is_some_and(|focus| !focus.links.contains(&index))),
            hit: board.hits.with(|hits| hits.links.contains(&index)),
            selected: board
                .ui
                .view
                .with(|view| matches!(&view.selection, Some(Selection::Edge(edge)) if id.with_value(|id| edge == id))),
        }
    });
    Watched { look, lit, id }
}

#[component]
fn LineView(board: Board, id: String) -> impl IntoView {
    let Watched { look, lit, id } = watch(board, id);
    let hovered = hovered(board, id);
    let class = move || look.with(|look| class_of("edge", look.as_ref(), lit.get(), hovered.get()));
    let select = move || board.select(Some(Selection::Edge(id.get_value())));
    let data = move |pick: fn(&Look) -> String| look.with(|look| look.as_ref().map(pick));
    view! {
        <g class=class tabindex="-1" on:keydown=move |event| select_by_key(&event, &select) data-test="edge" data-source=move || data(|l| l.from.clone()) data-target=move || data(|l| l.to.clone())
            data-rate=move || data(|l| l.link.rate.to_string()) data-errors=move || data(|l| l.link.errors.to_string())
            data-p95=move || look.with(|l| l.as_ref().and_then(|l| l.link.p95_ms).map(|ms| ms.to_string()))
            data-protocol=move || data(|l| l.link.edge.traffic.protocol.clone())
            on:click=move |_| select()
            on:pointerenter=move |_| board.hover.set(Some(Selection::Edge(id.get_value()))) on:pointerleave=move |_| board.hover.set(None)>
            {move || look.get().map(|look| {
                let width = stroke_width(&look.link);
                view! {
                    <path class="far" d=look.route.far_path/>
                    <path class="reach" d=look.route.path.clone()/>
                    <path class="band" d=look.route.path.clone()/>
                    <path class="line" d=look.route.path style=format!("--w:{width:.2}px")/>
                    <path class="arrow" d=look.route.arrow/>
                }
            })}
        </g>
    }
}

fn hovered(board: Board, id: StoredValue<String>) -> Memo<bool> {
    Memo::new(move |_| board.hover.with(|hover| matches!(hover, Some(Selection::Edge(edge)) if id.with_value(|id| edge == id))))
}

fn select_by_key(event: &KeyboardEvent, select: &impl Fn()) {
    if matches!(event.key().as_str(), "Enter" | " ") {
        event.prevent_default();
        select();
    }
}

/// In one piece: a class that changes as a whole would wipe out those that are switched one by one.
fn class_of(what: &str, look: Option<&Look>, lit: Lit, hovered: bool) -> String {
    let Some(look) = look else { return what.to_owned() };
    let mut class = format!("{what} pick {}", tone_class(&look.link));
    let unseated = look.route.pill.is_none();
    for (name, on) in
        [(" fade", lit.faded), (" hit", lit.hit), (" selected", lit.selected), (" hovered", hovered), (" unseated", unseated)]
    {
        class.push_str(if on { name } else { "" });
    }
    class
}

fn tone_class(link: &Link) -> &'static str {
    match link.tone {
        Tone::Healthy if link.tcp => "tcp",
        tone => tone.class(),
    }
}

#[component]
fn PillView(board: Board, id: String) -> impl IntoView {
    let Watched { look, lit, id } = watch(board, id);
    let select = move || board.select(Some(Selection::Edge(id.get_value())));
    let hovered = hovered(board, id);
    let class = move || look.with(|look| class_of("pill", look.as_ref(), lit.get(), hovered.get()));
    let label = move || look.with(|look| look.as_ref().map(|l| fill(GraphText::EdgeLabel, &[&l.from, &l.to, &l.pill.text])));
    let transform = move || {
        look.with(|look| {
            // A pill without a seat shows in the middle, over everything, while its edge is pointed at.
            let at =
                look.as_ref().map(|look| look.route.pill.unwrap_or_else(|| look.route.trace.at(look.route.trace.length() / 2.0)));
            at.map(|at| format!("translate({:.1}px,{:.1}px)", at.x, at.y))
        })
    };
    let data = move |pick: fn(&Look) -> String| look.with(|look| look.as_ref().map(pick));
    view! {
        <g class=class style:transform=transform
            tabindex="0" role="button" aria-label=label aria-pressed=move || lit.get().selected.to_string()
            data-test="pill" data-source=move || data(|l| l.from.clone()) data-target=move || data(|l| l.to.clone())
            on:click=move |_| select() on:keydown=move |event| select_by_key(&event, &select)
            on:pointerenter=move |_| board.hover.set(Some(Selection::Edge(id.get_value()))) on:pointerleave=move |_| board.hover.set(None)>
            {move || look.get().map(|look| pill_body(&look))}
        </g>
    }
}

fn pill_body(look: &Look) -> impl IntoView + use<> {
    let width = look.pill.width;
    let left = -width / 2.0;
    // The lock gives way to the octagon: two signs and a number are too much for one pill.
    let sign = sign_of(look.link.tone).filter(|_| look.link.tone == Tone::Failing);
    let lock = look.pill.lock && sign.is_none();
    let shift = if sign.is_some() || lock { 7.0 } else { 0.0 };
    view! {
        <rect class="pill-ring" x=left - 4.0 y=-PILL_HEIGHT / 2.0 - 4.0 width=width + 8.0 height=PILL_HEIGHT + 8.0 rx="14"/>
        <rect class="pill-back" x=left y=-PILL_HEIGHT / 2.0 width=width height=PILL_HEIGHT rx="10"/>
        {sign.map(|sign| view! { <g class=sign.class() transform=format!("translate({:.1},-6) scale(.5)", left + 6.0) inner_html=sign.body()></g> })}
        {lock.then(|| view! { <g class="glyph lock" transform=format!("translate({:.1},-5.5) scale(.44)", left + 7.0) inner_html=Icon::Lock.body()></g> })}
        <text x=shift y="4" data-test="pill-text">{look.pill.text.clone()}</text>
    }
}
