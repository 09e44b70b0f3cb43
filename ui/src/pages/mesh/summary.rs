//! Three cards: the collector, how far the configuration has come, and whether telemetry arrives.

use leptos::prelude::*;
use sidelight_api::status::Status;

use super::Rows;
use crate::client::Feed;
use crate::components::icons::{Mark, Sign};
use crate::i18n::mesh::MeshText;
use crate::i18n::t;
use crate::model::format;
use crate::model::mesh::Trouble;

#[component]
pub fn Summary(rows: Memo<Option<Rows>>, status: Feed<Status>) -> impl IntoView {
    view! {
        <div class="mesh-cards">
            {move || view! { <Sync rows=rows.get().unwrap_or_default()/> }}
            {move || view! { <Scrapes rows=rows.get().unwrap_or_default()/> }}
            {move || status.value.get().map(|status| view! { <Collector status=status.as_ref().clone()/> })}
        </div>
    }
}

fn fact(name: MeshText, value: String, mark: Option<Mark>) -> impl IntoView {
    view! { <div><dt>{t(name)}</dt><dd>{mark.map(|mark| view! { <Sign mark size=14/> })}{value}</dd></div> }
}

#[component]
fn Sync(rows: Rows) -> impl IntoView {
    let count = |trouble: Trouble| rows.iter().filter(|(t, _)| *t == trouble).count();
    let connected = rows.iter().filter(|(_, proxy)| proxy.connected).count();
    let (waiting, refused) = (count(Trouble::Waiting), count(Trouble::Refused));
    let in_sync = rows.iter().filter(|(t, proxy)| proxy.connected && matches!(t, Trouble::None | Trouble::NotScraped)).count();
    view! {
        <section class="card facts">
            <header><h2>{t(MeshText::Sync)}</h2></header>
            <dl>
                {fact(MeshText::Connected, format!("{connected} / {}", rows.len()), (connected < rows.len()).then_some(Mark::Degraded))}
                {fact(MeshText::InSync, in_sync.to_string(), None)}
                {fact(MeshText::Waiting, waiting.to_string(), (waiting > 0).then_some(Mark::Degraded))}
                {fact(MeshText::Refused, refused.to_string(), (refused > 0).then_some(Mark::Failing))}
            </dl>
        </section>
    }
}

#[component]
fn Scrapes(rows: Rows) -> impl IntoView {
    let scrapes: Vec<_> = rows.iter().filter_map(|(_, proxy)| proxy.scrape.as_ref()).collect();
    let up = scrapes.iter().filter(|scrape| scrape.up).count();
    let down = scrapes.len() - up;
    let samples: u64 = scrapes.iter().filter(|scrape| scrape.up).map(|scrape| scrape.samples).sum();
    let slowest = scrapes.iter().filter(|scrape| scrape.up).map(|scrape| scrape.duration_ms).fold(0.0, f64::max);
    view! {
        <section class="card facts">
            <header><h2>{t(MeshText::Scrapes)}</h2></header>
            <dl>
                {fact(MeshText::ScrapesUp, format!("{up} / {}", scrapes.len()), None)}
                {fact(MeshText::ScrapesDown, down.to_string(), (down > 0).then_some(Mark::Degraded))}
                {fact(MeshText::Samples, format::group(samples), None)}
                {fact(MeshText::Slowest, format::duration(slowest), None)}
            </dl>
        </section>
    }
}

#[component]
fn Collector(status: Status) -> impl IntoView {
    let seconds = |s: f64| format::age((s * 1000.0) as i64);
    view! {
        <section class="card facts">
            <header><h2>{t(MeshText::Collector)}</h2><span class="remark">{status.version}</span></header>
            <dl>
                {fact(MeshText::Up, format::age(status.now_ms - status.started_at_ms), None)}
                {fact(MeshText::Store, format!("{} · {}", status.store, seconds(status.retention_s as f64)), None)}
                {fact(MeshText::Scraping, format!("{} s", format::axis(status.scrape_interval_s)), None)}
                {fact(MeshText::Finest, seconds(status.rollup_s as f64), None)}
            </dl>
        </section>
    }
}
