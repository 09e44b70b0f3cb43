//! Everything that is shown, in numbers: what the panel says when nothing is selected.

use leptos::prelude::*;

use super::super::board::Board;
use super::super::cards::kind_text;
use super::node::{LinkRow, name_of};
use super::parts::{Big, Codes, Head, RequestsChart, timeline_of};
use crate::components::icons::{Mark, Sign};
use crate::i18n::graph::GraphText;
use crate::i18n::t;
use crate::model::codes;
use crate::model::format;
use crate::model::scene::{Card, Link, Scene, Tone};
use crate::model::view::Selection;

const ROWS_MAX: usize = 6;

#[derive(Clone, Default, PartialEq)]
struct Sums {
    nodes: usize,
    edges: usize,
    failing: usize,
    degraded: usize,
    rate: f64,
    errors: f64,
    shares: Vec<codes::Share>,
    /// Edges that are not healthy, worst first; the busiest when all are.
    rows: Vec<(Link, String)>,
    /// Nodes that are not healthy though all edges into them are.
    cards: Vec<Card>,
    fine: bool,
}

#[component]
pub fn TotalsPanel(board: Board) -> impl IntoView {
    let sums = Memo::new(move |_| board.picture.with(|picture| picture.as_ref().map(|p| sums(&p.scene)).unwrap_or_default()));
    let timeline = timeline_of(board, Vec::new());
    view! {
        <Head board over=t(GraphText::Totals)>""</Head>
        {move || {
            let s = sums.get();
            let loud = if s.failing > 0 { Tone::Failing } else if s.degraded > 0 { Tone::Degraded } else { Tone::Healthy };
            let failing_class = if s.failing > 0 { "bad" } else { "" };
            let degraded_class = if s.degraded > 0 { "warn" } else { "" };
            view! {
                <section>
                    <div class="bigs two">
                        <Big label=GraphText::TotalRequests number=format::rate(s.rate) unit="rps" test="total-rate"/>
                        <Big label=GraphText::Errors number=format::percent(s.errors) unit="%" tone=loud test="total-errors"/>
                    </div>
                    <div class="bigs four">
                        <Small label=GraphText::TotalNodes number=s.nodes tone="" test="total-nodes"/>
                        <Small label=GraphText::TotalEdges number=s.edges tone="" test="total-edges"/>
                        <Small label=GraphText::TotalFailing number=s.failing tone=failing_class test="total-failing"/>
                        <Small label=GraphText::TotalDegraded number=s.degraded tone=degraded_class test="total-degraded"/>
                    </div>
                </section>
                <Codes shares=s.shares/>
            }
        }}
        <RequestsChart timeline/>
        {move || {
            let s = sums.get();
            view! {
                <section>
                    <h3>{t(if s.fine { GraphText::Busiest } else { GraphText::NeedsLook })}</h3>
                    {s.fine.then(|| view! { <p class="fine"><Sign mark=Mark::Fine/>{t(GraphText::AllFine)}</p> })}
                    <ul class="rows">
                        {s.rows.into_iter().map(|(link, label)| view! { <LinkRow board link label/> }).collect_view()}
                        {s.cards.into_iter().map(|card| view! { <CardRow board card/> }).collect_view()}
                    </ul>
                </section>
            }
        }}
    }
}

#[component]
fn Small(label: GraphText, number: usize, tone: &'static str, test: &'static str) -> impl IntoView {
    view! { <div class=format!("big small-big {tone}") data-test=test><span>{t(label)}</span><b>{format::group(number as u64)}</b></div> }
}

fn sums(scene: &Scene) -> Sums {
    // With service nodes, a request runs along two edges; the second one leaves the service.
    let counted = || scene.links.iter().filter(|link| !link.tcp && !scene.cards[link.from].node.is_injected);
    let rate: f64 = counted().map(|link| link.rate).sum();
    let failing: f64 = counted().map(|link| link.rate * link.errors / 100.0).sum();
    let label = |link: &Link| format!("{} → {}", name_of(&scene.cards[link.from]), name_of(&scene.cards[link.to]));
    let mut rows: Vec<&Link> = scene.links.iter().filter(|link| link.tone >= Tone::Degraded).collect();
    let fine = rows.is_empty() && scene.cards.iter().all(|card| card.tone < Tone::Degraded);
    if fine {
        rows = counted().collect();
        rows.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    } else {
        rows.sort_by(|a, b| b.tone.cmp(&a.tone).then((b.rate * b.errors).total_cmp(&(a.rate * a.errors))));
    }
    Sums {
        nodes: scene.cards.len(),
        edges: scene.links.len(),
        failing: scene.cards.iter().filter(|card| card.tone == Tone::Failing).count(),
        degraded: scene.cards.iter().filter(|card| card.tone == Tone::Degraded).count(),
        rate,
        errors: if rate > 0.0 { failing / rate * 100.0 } else { 0.0 },
        shares: codes::shares_of_edges(counted().map(|link| (link.rate, &link.edge.traffic))),
        cards: unhealthy_cards(scene),
        rows: rows.into_iter().take(ROWS_MAX).map(|link| (link.clone(), label(link))).collect(),
        fine,
    }
}

fn unhealthy_cards(scene: &Scene) -> Vec<Card> {
    let told =
        |index: usize| scene.links.iter().any(|link| link.tone >= Tone::Degraded && (link.to == index || link.from == index));
    let cards = scene.cards.iter().enumerate().filter(|(index, card)| card.tone >= Tone::Degraded && !told(*index));
    cards.map(|(_, card)| card.clone()).take(ROWS_MAX).collect()
}

/// A node as a row that selects it.
#[component]
fn CardRow(board: Board, card: Card) -> impl IntoView {
    let id = StoredValue::new(card.node.id.clone());
    let mark = if card.tone == Tone::Failing { Mark::Failing } else { Mark::Degraded };
    view! {
        <li>
            <button type="button" class="link-row" on:click=move |_| board.select(Some(Selection::Node(id.get_value())))>
                <Sign mark size=14/><span class="label">{name_of(&card)}</span><span class="num remark">{t(kind_text(card.kind))}</span>
            </button>
        </li>
    }
}
