//! One edge in numbers.

use leptos::prelude::*;

use super::super::board::Board;
use super::objects::{Objects, Services};
use super::parts::{Alert, Big, Codes, Head, Name, Quantiles, RequestsChart, timeline_of};
use crate::components::icons::{Glyph, Icon};
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::codes;
use crate::model::format;
use crate::model::scene::{Card, Link, Tone};
use crate::model::view::Selection;

#[derive(Clone, PartialEq)]
struct Shown {
    link: Link,
    from: Card,
    to: Card,
}

#[component]
pub fn EdgePanel(board: Board, id: String) -> impl IntoView {
    let shown = Memo::new(move |_| {
        board.picture.with(|picture| {
            let scene = &picture.as_ref()?.scene;
            let link = scene.link(&id)?.clone();
            Some(Shown { from: scene.cards.get(link.from)?.clone(), to: scene.cards.get(link.to)?.clone(), link })
        })
    });
    let ends = Memo::new(move |_| shown.with(|s| s.as_ref().map(|s| (s.link.edge.source.clone(), s.link.edge.target.clone()))));
    // One feed per pair of ends: numbers that change do not start it anew.
    move || match ends.get() {
        Some((source, target)) => view! { <Filled board shown source target/> }.into_any(),
        None => view! { <Head board over=""><p class="remark">{t(GraphText::Gone)}</p></Head> }.into_any(),
    }
}

#[component]
fn Filled(board: Board, shown: Memo<Option<Shown>>, source: String, target: String) -> impl IntoView {
    let timeline = timeline_of(board, vec![("source", source), ("target", target)]);
    let services = Memo::new(move |_| shown.with(|s| s.as_ref().map(services_of).unwrap_or_default()));
    view! {
        {move || shown.get().map(|s| {
            let over = fill(GraphText::EdgeOf, &[&s.link.edge.traffic.protocol.to_uppercase()]);
            let (from, to, tone, errors) = (s.from.clone(), s.to.clone(), s.link.tone, s.link.errors);
            view! {
                <Head board over=format!("{over} · {}", s.to.node.namespace)>
                    <h2 class="panel-title"><End board card=from/><Glyph icon=Icon::ArrowRight/><End board card=to/></h2>
                    <Alert tone errors timeline/>
                </Head>
                <Numbers shown=s.clone()/>
                <Codes shares=codes::shares_of_edge(&s.link.edge.traffic)/>
                <Flags link=s.link.clone()/>
            }
        })}
        <RequestsChart timeline/>
        {move || shown.get().map(|s| view! { <Tls link=s.link/> })}
        {move || view! { <Objects board services=services.get()/> }}
    }
}

#[component]
fn End(board: Board, card: Card) -> impl IntoView {
    let id = StoredValue::new(card.node.id.clone());
    view! {
        <button type="button" class="end" on:click=move |_| board.select(Some(Selection::Node(id.get_value())))>
            <Name name=card.name version=card.version/>
        </button>
    }
}

fn services_of(shown: &Shown) -> Services {
    let node = &shown.to.node;
    let called = node.dest_services.iter().map(|service| (service.name.clone(), service.namespace.clone()));
    let own = node.service.iter().map(|service| (service.clone(), node.namespace.clone()));
    called.chain(own).collect()
}

#[component]
fn Numbers(shown: Shown) -> impl IntoView {
    let link = shown.link;
    let loud = (link.tone >= Tone::Degraded && link.errors > 0.0).then_some(link.tone);
    if link.tcp {
        return view! { <section><div class="bigs two"><Big label=GraphText::Throughput number=format::bytes_per_second(link.rate) unit="" test="rate"/></div></section> }.into_any();
    }
    let share = (link.share > 0.0 && link.share < 100.0)
        .then(|| format!("{} % {}", format::percent(link.share), fill(GraphText::ShareHint, &[&shown.from.name])));
    view! {
        <section>
            <div class="bigs two">
                <Big label=GraphText::Rate number=format::rate(link.rate) unit="rps" test="rate"/>
                {match loud {
                    Some(tone) => view! { <Big label=GraphText::Errors number=format::percent(link.errors) unit="%" tone test="errors"/> }.into_any(),
                    None => view! { <Big label=GraphText::Errors number=format::percent(link.errors) unit="%" test="errors"/> }.into_any(),
                }}
            </div>
            <Quantiles latency=link.edge.latency tone=link.tone/>
            {share.map(|text| view! { <p class="remark">{text}</p> })}
        </section>
    }
    .into_any()
}

#[component]
fn Flags(link: Link) -> impl IntoView {
    let flags = codes::flags(&link.edge.traffic);
    (!flags.is_empty()).then(|| view! {
        <section class="flags">
            <h3>{t(GraphText::Flags)}</h3>
            <ul class="rows">
                {flags.into_iter().map(|(flag, percent)| view! {
                    <li><span class="flag-name">{flag.clone()}</span><span>{t(codes::flag_text(&flag))}</span><b class="num">{format!("{} %", format::percent(percent))}</b></li>
                }).collect_view()}
            </ul>
        </section>
    })
}

#[component]
fn Tls(link: Link) -> impl IntoView {
    let (text, hint) = match link.mtls {
        share if share >= 100.0 => (t(GraphText::MtlsOn).to_owned(), link.edge.dest_principal.clone().unwrap_or_default()),
        share if share > 0.0 => (fill(GraphText::MtlsPart, &[&format::percent(share)]), String::new()),
        _ => (t(GraphText::MtlsOff).to_owned(), t(GraphText::MtlsOffHint).to_owned()),
    };
    let hint = hint.rsplit("/sa/").next().unwrap_or_default().to_owned();
    let class = if link.mtls >= 100.0 { "tls on" } else { "tls" };
    view! { <section class=class><p><Glyph icon=Icon::Lock/><b>{text}</b><span class="remark">{hint}</span></p></section> }
}
