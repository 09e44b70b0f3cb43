//! Nodes as cards: glyph, name, version, and the line of numbers.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::board::Board;
use crate::components::icons::{Icon, Mark};
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::model::geometry::Rect;
use crate::model::measure;
use crate::model::picture::{CARD_H, CARD_W};
use crate::model::scene::{Card, Kind, Tone};
use crate::model::view::Selection;

/// Response times from which the number itself turns loud, when the node is unhealthy.
const SLOW_MS: f64 = 500.0;

#[component]
pub fn Cards(board: Board) -> impl IntoView {
    let ids = move || {
        board
            .picture
            .with(|p| p.as_ref().map(|p| p.scene.cards.iter().map(|c| c.node.id.clone()).collect::<Vec<_>>()).unwrap_or_default())
    };
    view! { <For each=ids key=Clone::clone let:id><CardView board id/></For> }
}

#[derive(Clone, PartialEq)]
struct Place {
    rect: Rect,
    faded: bool,
    hit: bool,
    selected: bool,
}

#[component]
fn CardView(board: Board, id: String) -> impl IntoView {
    let id = StoredValue::new(id);
    let index = Memo::new(move |_| board.picture.with(|p| p.as_ref().and_then(|p| id.with_value(|id| p.card(id)))));
    let card = Memo::new(move |_| board.picture.with(|p| p.as_ref().and_then(|p| p.scene.cards.get(index.get()?).cloned())));
    let place = Memo::new(move |_| {
        let index = index.get()?;
        let rect = board.picture.with(|p| p.as_ref().and_then(|p| p.placement.cards.get(index).copied()))?;
        Some(Place {
            rect,
            faded: board.focus.with(|focus| focus.as_ref().is_some_and(|focus| !focus.cards.contains(&index))),
            hit: board.hits.with(|hits| hits.cards.contains(&index)),
            selected: board
                .ui
                .view
                .with(|view| matches!(&view.selection, Some(Selection::Node(node)) if id.with_value(|id| node == id))),
        })
    });
    let select = move || board.select(Some(Selection::Node(id.get_value())));
    let on_key = move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            select();
        }
    };
    let tone = move || card.with(|card| card.as_ref().map_or("idle", |card| card.tone.class()));
    let flag = move |pick: fn(&Place) -> bool| place.with(|place| place.as_ref().is_some_and(pick));
    // In one piece: a class that changes as a whole would wipe out those that are switched one by one.
    let class = move || {
        let mut class = format!("node pick {}", tone());
        for (name, on) in [(" fade", flag(|p| p.faded)), (" hit", flag(|p| p.hit)), (" selected", flag(|p| p.selected))] {
            class.push_str(if on { name } else { "" });
        }
        class
    };
    let transform = move || place.with(|place| place.as_ref().map(|p| format!("translate({:.1}px,{:.1}px)", p.rect.x, p.rect.y)));
    let data = move |pick: fn(&Card) -> Option<String>| card.with(|card| card.as_ref().and_then(pick));
    view! {
        <g class=class style:transform=transform
            tabindex="0" role="button" aria-label=move || card.with(|card| card.as_ref().map(aria)) aria-pressed=move || flag(|p| p.selected).to_string()
            data-test="node" data-handle=move || data(|c| Some(c.handle.clone())) data-app=move || data(|c| c.node.app.clone())
            data-version=move || data(|c| c.node.version.clone()) data-workload=move || data(|c| c.node.workload.clone())
            data-service=move || data(|c| c.node.service.clone()) data-namespace=move || data(|c| Some(c.node.namespace.clone()))
            on:click=move |_| select() on:keydown=on_key
            on:pointerenter=move |_| board.hover.set(Some(Selection::Node(id.get_value()))) on:pointerleave=move |_| board.hover.set(None)>
            {move || card.get().map(|card| body(&card))}
        </g>
    }
}

fn aria(card: &Card) -> String {
    let name = match &card.version {
        Some(version) => format!("{} {version}", card.name),
        None => card.name.clone(),
    };
    fill(GraphText::NodeLabel, &[&name, &t(kind_text(card.kind)), &words(card)])
}

fn words(card: &Card) -> String {
    let health = match card.tone {
        Tone::Failing => t(GraphText::Failing),
        Tone::Degraded => t(GraphText::Degraded),
        Tone::Healthy => t(GraphText::LegendHealthy),
        Tone::Idle => return t(GraphText::NoTraffic).to_owned(),
    };
    let rate = if card.rate > 0.0 {
        format!("{} rps, {} %", format::rate(card.rate), format::percent(card.errors))
    } else {
        format::bytes_per_second(card.bytes)
    };
    format!("{health}, {rate}")
}

pub fn kind_text(kind: Kind) -> GraphText {
    match kind {
        Kind::Workload => GraphText::KindWorkload,
        Kind::App => GraphText::KindApp,
        Kind::Service => GraphText::KindService,
        Kind::Gateway => GraphText::KindGateway,
        Kind::External => GraphText::KindExternal,
        Kind::Operation => GraphText::KindOperation,
        Kind::Unknown => GraphText::KindUnknown,
    }
}

pub fn kind_icon(kind: Kind) -> Icon {
    match kind {
        Kind::Workload => Icon::Workload,
        Kind::App => Icon::App,
        Kind::Service => Icon::Service,
        Kind::Gateway => Icon::Gateway,
        Kind::External => Icon::External,
        Kind::Operation => Icon::Operation,
        Kind::Unknown => Icon::Unknown,
    }
}

pub fn sign_of(tone: Tone) -> Option<Mark> {
    match tone {
        Tone::Failing => Some(Mark::Failing),
        Tone::Degraded => Some(Mark::Degraded),
        Tone::Healthy | Tone::Idle => None,
    }
}

/// All three levels of detail; the style sheet shows the one that fits the zoom.
fn body(card: &Card) -> impl IntoView + use<> {
    let sign = sign_of(card.tone);
    view! {
        <rect class="halo" x="-12" y="-12" width=CARD_W + 24.0 height=CARD_H + 24.0 rx="16"/>
        <rect class="ring" x="-3.5" y="-3.5" width=CARD_W + 7.0 height=CARD_H + 7.0 rx="11"/>
        <rect class="card" width=CARD_W height=CARD_H rx="8"/>
        <g class="full">{full(card)}</g>
        <g class="name-only">{name_only(card)}</g>
        {sign.map(|sign| view! { <g class=sign.class() transform="translate(158,9) scale(.667)" inner_html=sign.body()></g> })}
        <g class="dot-only" transform="translate(92,30)">{dot(card)}</g>
    }
}

fn full(card: &Card) -> impl IntoView + use<> {
    let sign_room = if card.tone >= Tone::Degraded { 20.0 } else { 0.0 };
    let chip = card.version.as_ref().map(|version| measure::cut(version, 11.0, 60.0));
    let chip_width = chip.as_ref().map_or(0.0, |text| text.chars().count() as f64 * 6.7 + 12.0);
    let room = 150.0 - sign_room - if chip_width > 0.0 { chip_width + 8.0 } else { 0.0 };
    let name = measure::cut(&card.name, 13.0, room);
    let chip_x = 30.0 + measure::width(&name, 13.0) + 8.0;
    view! {
        <g class="glyph" transform="translate(10,11.5) scale(.583)" inner_html=kind_icon(card.kind).body()></g>
        <text class="name" x="30" y="23">{name}</text>
        {chip.map(|text| view! {
            <rect class="chip-back" x=chip_x y="10.5" width=chip_width height="16" rx="4"/>
            <text class="chip-text" x=chip_x + chip_width / 2.0 y="22.2">{text}</text>
        })}
        <text class="numbers" x="10" y="45">{numbers(card)}</text>
    }
}

fn numbers(card: &Card) -> AnyView {
    if card.tone == Tone::Idle {
        let words = if card.node.is_out_of_mesh {
            format!("{} · {}", t(GraphText::NoProxy), t(GraphText::NoTraffic))
        } else {
            t(GraphText::NoTraffic).to_owned()
        };
        return view! { <tspan>{words}</tspan> }.into_any();
    }
    if card.rate <= 0.0 {
        return view! { <tspan>{format::bytes_per_second(card.bytes)}</tspan> }.into_any();
    }
    let unhealthy = card.tone >= Tone::Degraded;
    let loud_errors = unhealthy && card.errors > 0.0;
    let loud_time = unhealthy && card.p95_ms.is_some_and(|ms| ms >= SLOW_MS);
    view! {
        <tspan>{format!("{} rps", format::rate(card.rate))}</tspan>
        <tspan class="between">" · "</tspan>
        <tspan class:loud=loud_errors>{format!("{} %", format::percent(card.errors))}</tspan>
        {card.p95_ms.map(|ms| view! { <tspan class="between">" · "</tspan><tspan class:loud=loud_time>{format::duration(ms)}</tspan> })}
    }
    .into_any()
}

fn name_only(card: &Card) -> impl IntoView + use<> {
    // Grows with distance, but not beyond what the card has room for.
    let text = match &card.version {
        Some(version) => format!("{} {version}", card.name),
        None => card.name.clone(),
    };
    let beside = card.tone >= Tone::Degraded;
    let room = if beside { 140.0 } else { 168.0 };
    let largest = room / measure::width(&text, 1.0).max(1.0);
    view! { <text x="92" y="30" class:beside=beside style=format!("--largest:{largest:.1}px")>{text}</text> }
}

fn dot(card: &Card) -> impl IntoView + use<> {
    let radius = match card.tone {
        Tone::Failing => 8.0,
        Tone::Degraded => 7.0,
        _ if card.hub => 10.0,
        _ => (4.2 + 2.2 * (1.0 + card.rate).log10()).min(8.7),
    };
    let named = card.tone >= Tone::Degraded || card.hub;
    let text = match card.tone {
        Tone::Failing => format!("{} {} %", card.name, format::percent(card.errors)),
        Tone::Degraded if card.errors > 0.0 => format!("{} {} %", card.name, format::percent(card.errors)),
        Tone::Degraded => format!("{} p95 {}", card.name, card.p95_ms.map(format::duration).unwrap_or_default()),
        _ => card.name.clone(),
    };
    view! {
        <g class="steady">
            <circle class="dot-halo" r=radius + 9.0/>
            <circle class="dot-ring" r=radius + 3.5/>
            <circle class="dot-body" r=radius/>
            {named.then(|| view! { <text y=radius + 15.0>{text}</text> })}
        </g>
    }
}
