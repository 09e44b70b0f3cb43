//! One node in numbers, with who calls it and whom it calls.

use leptos::prelude::*;

use super::super::board::Board;
use super::super::cards::{kind_icon, kind_text};
use super::objects::{Objects, Services};
use super::parts::{Alert, Big, Codes, Head, Name, Quantiles, RequestsChart, timeline_of};
use crate::components::icons::{Glyph, Mark, Sign};
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::codes;
use crate::model::format;
use crate::model::scene::{Card, Link, Tone};
use crate::model::view::Selection;

const LABELS_MAX: usize = 8;

#[derive(Clone, PartialEq)]
struct Shown {
    card: Card,
    /// Edges with the card at their other end.
    inbound: Vec<(Link, Card)>,
    outbound: Vec<(Link, Card)>,
}

#[component]
pub fn NodePanel(board: Board, id: String) -> impl IntoView {
    let wanted = StoredValue::new(id.clone());
    let shown = Memo::new(move |_| {
        board.picture.with(|picture| {
            let scene = &picture.as_ref()?.scene;
            let index = wanted.with_value(|id| scene.cards.iter().position(|card| card.node.id == *id))?;
            let other = |link: &Link, end: usize| Some((link.clone(), scene.cards.get(end)?.clone()));
            let inbound = scene.links.iter().filter(|link| link.to == index).filter_map(|link| other(link, link.from));
            let outbound = scene.links.iter().filter(|link| link.from == index).filter_map(|link| other(link, link.to));
            Some(Shown { card: scene.cards[index].clone(), inbound: inbound.collect(), outbound: outbound.collect() })
        })
    });
    let exists = Memo::new(move |_| shown.with(Option::is_some));
    move || {
        if !exists.get() {
            return view! { <Head board over=""><p class="remark">{t(GraphText::Gone)}</p></Head> }.into_any();
        }
        let timeline = timeline_of(board, vec![("node", wanted.get_value())]);
        let services = Memo::new(move |_| shown.with(|s| s.as_ref().map(|s| services_of(&s.card)).unwrap_or_default()));
        view! {
            {move || shown.get().map(|s| {
                let card = s.card.clone();
                view! {
                    <Head board over=format!("{} · {}", t(kind_text(card.kind)), card.node.namespace)>
                        <h2 class="panel-title"><Glyph icon=kind_icon(card.kind)/><Name name=card.name.clone() version=card.version.clone()/></h2>
                        <Alert tone=card.tone errors=card.errors timeline/>
                        <Badges card/>
                    </Head>
                    <Numbers card=s.card.clone()/>
                    {s.card.node.health_data.as_ref().map(|health| view! { <Codes shares=codes::shares_of_node(&health.requests)/> })}
                }
            })}
            <RequestsChart timeline/>
            {move || shown.get().map(|s| view! {
                <Neighbours board title=GraphText::Inbound none=GraphText::NobodyCalls links=s.inbound/>
                <Neighbours board title=GraphText::Outbound none=GraphText::CallsNobody links=s.outbound/>
                <Replicas card=s.card.clone()/>
            })}
            {move || view! { <Objects board services=services.get()/> }}
            {move || shown.get().map(|s| view! { <Labels card=s.card/> })}
        }
        .into_any()
    }
}

fn services_of(card: &Card) -> Services {
    let called = card.node.dest_services.iter().map(|service| (service.name.clone(), service.namespace.clone()));
    let own = card.node.service.iter().map(|service| (service.clone(), card.node.namespace.clone()));
    called.chain(own).collect()
}

#[component]
fn Badges(card: Card) -> impl IntoView {
    let node = card.node;
    let all = [
        (node.has_vs.is_some(), GraphText::BadgeVs),
        (node.has_cb, GraphText::BadgeCb),
        (node.has_fault_injection, GraphText::BadgeFault),
        (node.has_mirroring, GraphText::BadgeMirror),
        (node.has_request_routing, GraphText::BadgeRouting),
        (node.has_request_timeout, GraphText::BadgeTimeout),
        (node.has_traffic_shifting, GraphText::BadgeShifting),
    ];
    let here: Vec<GraphText> = all.into_iter().filter(|(here, _)| *here).map(|(_, text)| text).collect();
    (!here.is_empty()).then(|| view! { <p class="chips">{here.into_iter().map(|text| view! { <span class="chip words">{t(text)}</span> }).collect_view()}</p> })
}

#[component]
fn Numbers(card: Card) -> impl IntoView {
    let loud = (card.tone >= Tone::Degraded && card.errors > 0.0).then_some(card.tone);
    let tcp = card.bytes > 0.0;
    let http = card.rate > 0.0 || !tcp;
    view! {
        <section>
            <div class="bigs two">
                {http.then(|| view! { <Big label=GraphText::Rate number=format::rate(card.rate) unit="rps" test="rate"/> })}
                {http.then(|| match loud {
                    Some(tone) => view! { <Big label=GraphText::Errors number=format::percent(card.errors) unit="%" tone test="errors"/> }.into_any(),
                    None => view! { <Big label=GraphText::Errors number=format::percent(card.errors) unit="%" test="errors"/> }.into_any(),
                })}
                {tcp.then(|| view! { <Big label=GraphText::Throughput number=format::bytes_per_second(card.bytes) unit=""/> })}
            </div>
            <Quantiles latency=card.node.latency tone=card.tone/>
        </section>
    }
}

#[component]
fn Neighbours(board: Board, title: GraphText, none: GraphText, links: Vec<(Link, Card)>) -> impl IntoView {
    let empty = links.is_empty();
    view! {
        <section>
            <h3>{t(title)}</h3>
            {empty.then(|| view! { <p class="remark">{t(none)}</p> })}
            <ul class="rows">{links.into_iter().map(|(link, card)| view! { <LinkRow board link label=name_of(&card)/> }).collect_view()}</ul>
        </section>
    }
}

pub fn name_of(card: &Card) -> String {
    match &card.version {
        Some(version) => format!("{} {version}", card.name),
        None => card.name.clone(),
    }
}

/// An edge as a row that selects it.
#[component]
pub fn LinkRow(board: Board, link: Link, label: String) -> impl IntoView {
    let sign = match link.tone {
        Tone::Failing => Some(Mark::Failing),
        Tone::Degraded => Some(Mark::Degraded),
        Tone::Healthy | Tone::Idle => None,
    };
    let id = StoredValue::new(link.edge.id.clone());
    let loud = if link.tone == Tone::Failing {
        "num bad"
    } else if link.tone == Tone::Degraded {
        "num warn"
    } else {
        "num"
    };
    let rate = if link.tcp { format::bytes_per_second(link.rate) } else { format!("{} rps", format::rate(link.rate)) };
    view! {
        <li>
            <button type="button" class="link-row" on:click=move |_| board.select(Some(Selection::Edge(id.get_value())))
                on:pointerenter=move |_| board.hover.set(Some(Selection::Edge(id.get_value()))) on:pointerleave=move |_| board.hover.set(None)>
                {sign.map(|mark| view! { <Sign mark size=14/> })}
                <span class="label">{label}</span>
                <span class="num">{rate}</span>
                {(!link.tcp).then(|| view! { <span class=loud>{format!("{} %", format::percent(link.errors))}</span> })}
            </button>
        </li>
    }
}

#[component]
fn Replicas(card: Card) -> impl IntoView {
    let statuses = card.node.health_data.map(|health| health.workload_statuses).unwrap_or_default();
    (!statuses.is_empty()).then(|| view! {
        <section>
            <h3>{t(GraphText::Replicas)}</h3>
            <ul class="rows">
                {statuses.into_iter().map(|status| view! {
                    <li><span class="label">{status.name}</span><span class="remark">{fill(GraphText::ReplicasReady, &[&status.available_replicas, &status.desired_replicas])}</span>
                        {(status.synced_proxies >= 0).then(|| view! { <span class="remark">" · "{fill(GraphText::ProxiesSynced, &[&status.synced_proxies])}</span> })}</li>
                }).collect_view()}
            </ul>
        </section>
    })
}

#[component]
fn Labels(card: Card) -> impl IntoView {
    let labels = card.node.labels;
    (!labels.is_empty()).then(|| view! {
        <section>
            <h3>{t(GraphText::Labels)}</h3>
            <p class="chips">{labels.into_iter().take(LABELS_MAX).map(|(key, value)| view! { <span class="chip">{format!("{key}={value}")}</span> }).collect_view()}</p>
        </section>
    })
}
