//! One proxy: what it was sent, what it took, and why it refused.

use leptos::prelude::*;
use sidelight_api::proxy::{Proxy, TypeSync};

use super::select;
use super::table::mark;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::CopyButton;
use crate::i18n::frame::Frame;
use crate::i18n::mesh::MeshText;
use crate::i18n::t;
use crate::model::format;
use crate::platform;
use crate::state::Ui;

#[component]
pub fn Detail(proxy: Proxy) -> impl IntoView {
    let ui = Ui::get();
    let error = proxy.last_error.clone().or_else(|| proxy.types.values().find_map(|sync| sync.error.clone()));
    let since = if proxy.connected { clock(proxy.connected_at_ms) } else { t(MeshText::GoneRemark).to_owned() };
    let scrape = proxy.scrape.as_ref().map(|scrape| scrape.url.clone()).unwrap_or_default();
    view! {
        <aside class="card mesh-detail" data-test="panel">
            <header>
                {error.is_some().then(|| view! { <Sign mark=Mark::Failing/> })}
                <h2>{proxy.name.clone()}</h2><span class="grow"></span>
                <button type="button" class="plain" aria-label=t(Frame::Close) on:click=move |_| select(ui, None)><Glyph icon=Icon::Close/></button>
            </header>
            {error.map(|error| view! {
                <div class="refusal-words"><b>{t(MeshText::RefusedHead)}</b><code>{error}</code><p class="remark">{t(MeshText::StillRuns)}</p></div>
            })}
            <dl class="facts-list">
                <dt>{t(MeshText::NodeId)}</dt><dd><code>{proxy.node_id.clone()}</code><CopyButton text=proxy.node_id.clone()/></dd>
                <dt>{t(MeshText::Addresses)}</dt><dd><code>{proxy.addresses.join(", ")}</code></dd>
                <dt>{t(MeshText::ConnectedSince)}</dt><dd>{since}</dd>
                <dt>{t(MeshText::ScrapeUrl)}</dt><dd><code>{scrape}</code></dd>
            </dl>
            <table class="table">
                <thead><tr><th>{t(MeshText::Type)}</th><th>{t(MeshText::Sent)}</th><th>{t(MeshText::Acknowledged)}</th><th class="mid">{t(MeshText::State)}</th></tr></thead>
                <tbody>{proxy.types.into_iter().map(|(name, sync)| type_row(name, &sync)).collect_view()}</tbody>
            </table>
        </aside>
    }
}

fn type_row(name: String, sync: &TypeSync) -> impl IntoView + use<> {
    let cell = |version: &str, at: i64| if at > 0 { format!("{} · {}", short(version), clock(at)) } else { "–".to_owned() };
    view! {
        <tr><td><b>{name}</b></td><td class="mono">{cell(&sync.sent_version, sync.sent_at_ms)}</td>
            <td class="mono">{cell(&sync.acked_version, sync.acked_at_ms)}</td><td class="mid">{mark(sync.state)}</td></tr>
    }
}

/// Versions may be hashes; their beginning tells them apart.
fn short(version: &str) -> String {
    version.chars().take(10).collect()
}

fn clock(at: i64) -> String {
    format::time_of_day(at, platform::offset_minutes(at))
}
