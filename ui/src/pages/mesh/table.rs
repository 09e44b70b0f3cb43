//! The proxies, one line each, those that need a look first.

use leptos::prelude::*;
use sidelight_api::proxy::{Proxy, SyncState, TypeSync};

use super::{Rows, select};
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::mesh::MeshText;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::model::mesh::{TYPES, Trouble, last_push_ms};
use crate::platform;
use crate::state::Ui;

#[component]
pub fn Table(rows: Memo<Option<Rows>>, chosen: Memo<Option<String>>) -> impl IntoView {
    let only = RwSignal::new(None::<Trouble>);
    let shown = move || {
        rows.get()
            .unwrap_or_default()
            .into_iter()
            .filter(|(trouble, _)| only.get().is_none_or(|only| only == *trouble))
            .collect::<Rows>()
    };
    view! {
        <section class="card mesh-table">
            <header>
                <h2>{t(MeshText::Proxies)}</h2><span class="count">{move || rows.with(|rows| rows.as_ref().map_or(0, Vec::len))}</span>
                <Filters rows only/>
                <span class="grow"></span>
                <span class="key">{mark(SyncState::Synced)}{t(MeshText::InSync)}</span>
                <span class="key">{mark(SyncState::Waiting)}{t(MeshText::Waiting)}</span>
                <span class="key">{mark(SyncState::Refused)}{t(MeshText::Refused)}</span>
            </header>
            <div class="scroll">
                <table class="table" data-test="proxies">
                    <thead><tr>
                        <th></th><th>{t(MeshText::Proxy)}</th><th>{t(MeshText::Namespace)}</th><th>{t(MeshText::AppVersion)}</th>
                        {TYPES.map(|name| view! { <th class="mid">{name}</th> }).collect_view()}
                        <th>{t(MeshText::LastPush)}</th><th>{t(MeshText::LastScrape)}</th><th class="num">{t(MeshText::Took)}</th>
                        <th class="num">{t(MeshText::SamplesShort)}</th><th class="wide">{t(MeshText::Remark)}</th>
                    </tr></thead>
                    <tbody><For each=shown key=|(trouble, proxy)| key(*trouble, proxy) let:row><Row trouble=row.0 proxy=row.1 chosen/></For></tbody>
                </table>
            </div>
        </section>
    }
}

/// All that a row shows, so that a row is drawn anew exactly when it changes.
fn key(trouble: Trouble, proxy: &Proxy) -> String {
    format!("{trouble:?} {}", serde_json::to_string(proxy).unwrap_or_default())
}

#[component]
fn Filters(rows: Memo<Option<Rows>>, only: RwSignal<Option<Trouble>>) -> impl IntoView {
    let kinds = [
        (Trouble::Refused, MeshText::Refused),
        (Trouble::Gone, MeshText::Gone),
        (Trouble::Waiting, MeshText::Waiting),
        (Trouble::NotScraped, MeshText::ScrapesDown),
    ];
    let count = move |kind: Trouble| {
        rows.with(|rows| rows.as_ref().map_or(0, |rows| rows.iter().filter(|(trouble, _)| *trouble == kind).count()))
    };
    kinds
        .map(|(kind, text)| {
            let on = move || only.get() == Some(kind);
            let toggle = move |_| only.update(|only| *only = if *only == Some(kind) { None } else { Some(kind) });
            view! {
                <Show when=move || (count(kind) > 0) || on()>
                    <button type="button" class="button small pill-button" class:on=on aria-pressed=move || on().to_string() on:click=toggle>
                        {sign(kind).map(|mark| view! { <Sign mark size=14/> })}{t(text)}<b>{move || count(kind)}</b>
                    </button>
                </Show>
            }
        })
        .collect_view()
}

fn sign(trouble: Trouble) -> Option<Mark> {
    match trouble {
        Trouble::None => None,
        Trouble::Refused => Some(Mark::Failing),
        Trouble::Gone | Trouble::Waiting | Trouble::NotScraped => Some(Mark::Degraded),
    }
}

/// A tick, a dashed square, or a cross.
pub fn mark(state: SyncState) -> impl IntoView {
    match state {
        SyncState::Synced => view! { <span class="sync synced"><Glyph icon=Icon::Check size=12/></span> },
        SyncState::Waiting => view! { <span class="sync waiting"><Glyph icon=Icon::Minus size=1/></span> },
        SyncState::Refused => view! { <span class="sync refused"><Glyph icon=Icon::Close size=10/></span> },
    }
}

fn state_text(state: SyncState) -> &'static str {
    t(match state {
        SyncState::Synced => MeshText::InSync,
        SyncState::Waiting => MeshText::Waiting,
        SyncState::Refused => MeshText::Refused,
    })
}

fn sync_cell(proxy: &Proxy, name: &'static str) -> impl IntoView + use<> {
    let sync: Option<TypeSync> = proxy.types.get(name).filter(|sync| sync.sent_at_ms > 0).cloned();
    match sync {
        Some(sync) => view! { <td class="mid" title=format!("{name}: {}", state_text(sync.state)) data-state=format!("{:?}", sync.state).to_lowercase()>{mark(sync.state)}</td> }.into_any(),
        None => view! { <td class="mid remark">"–"</td> }.into_any(),
    }
}

#[component]
fn Row(trouble: Trouble, proxy: Proxy, chosen: Memo<Option<String>>) -> impl IntoView {
    let ui = Ui::get();
    let id = StoredValue::new(proxy.node_id.clone());
    let here = move || chosen.with(|chosen| id.with_value(|id| chosen.as_ref() == Some(id)));
    let toggle = move || select(ui, if here() { None } else { Some(id.get_value()) });
    let clock = |at: i64| format::time_of_day(at, platform::offset_minutes(at));
    let scrape = proxy.scrape.clone();
    let scraped =
        scrape.as_ref().filter(|s| s.last_at_ms > 0).map_or_else(|| t(MeshText::Never).to_owned(), |s| clock(s.last_at_ms));
    let took = scrape.as_ref().filter(|s| s.up).map_or("–".to_owned(), |s| format!("{:.1}", s.duration_ms));
    let samples = scrape.as_ref().filter(|s| s.up).map_or("–".to_owned(), |s| format::group(s.samples));
    let push = last_push_ms(&proxy).map_or("–".to_owned(), clock);
    let icon = if proxy.node_type == "router" { Icon::Gateway } else { Icon::Workload };
    let cells = TYPES.map(|name| sync_cell(&proxy, name)).collect_view();
    let said = remark(trouble, &proxy, ui.now_ms.get_untracked());
    let full = said.clone();
    let (handle, name) = (proxy.name.clone(), proxy.name);
    view! {
        <tr class:here=here data-test="proxy" data-name=handle on:click=move |_| toggle()>
            <td>{sign(trouble).map(|mark| view! { <Sign mark/> })}</td>
            <td><button type="button" class="cell-button"><Glyph icon size=14/>{name}</button></td>
            <td class="remark">{proxy.namespace}</td><td>{proxy.version}</td>{cells}
            <td>{push}</td><td class:warn=trouble == Trouble::NotScraped>{scraped}</td><td class="num">{took}</td><td class="num">{samples}</td>
            <td class="wide" title=full>{said}</td>
        </tr>
    }
}

fn remark(trouble: Trouble, proxy: &Proxy, now_ms: i64) -> String {
    match trouble {
        Trouble::None => "–".to_owned(),
        Trouble::Refused => {
            proxy.last_error.clone().or_else(|| proxy.types.values().find_map(|sync| sync.error.clone())).unwrap_or_default()
        }
        Trouble::Gone => t(MeshText::GoneRemark).to_owned(),
        Trouble::Waiting => proxy
            .types
            .iter()
            .find(|(_, sync)| sync.state == SyncState::Waiting && sync.sent_at_ms > 0)
            .map(|(name, sync)| fill(MeshText::WaitingRemark, &[name, &format::age(now_ms - sync.sent_at_ms)]))
            .unwrap_or_default(),
        Trouble::NotScraped => proxy
            .scrape
            .as_ref()
            .map(|scrape| {
                fill(
                    MeshText::NotScraped,
                    &[&scrape.url.trim_start_matches("http://"), &scrape.error.clone().unwrap_or_default()],
                )
            })
            .unwrap_or_default(),
    }
}

/// The outline of the table.
#[component]
pub fn Bones() -> impl IntoView {
    view! {
        <section class="card mesh-table" role="status" data-test="loading">
            {(0..8).map(|_| view! { <div class="bone-row"><span class="bone wide"></span><span class="bone short"></span><span class="bone"></span></div> }).collect_view()}
        </section>
    }
}
