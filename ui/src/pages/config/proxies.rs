//! Which proxies run the newest configuration, which wait, which refused it and in what words.

use leptos::prelude::*;
use sidelight_api::proxy::{Proxy, ProxyList, SyncState};

use crate::client::Feed;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::t;

#[component]
pub fn ProxiesTab(feed: Feed<ProxyList>) -> impl IntoView {
    let proxies = Memo::new(move |_| feed.value.with(|list| list.as_ref().map(|list| list.proxies.clone()).unwrap_or_default()));
    let rows = move || proxies.get().into_iter().map(|proxy| view! { <Row proxy/> }).collect_view();
    view! {
        <table class="table" data-test="proxies">
            <thead><tr><th></th><th>{t(ConfigText::ProxyName)}</th><th>{t(ConfigText::Namespace)}</th><th>{t(ConfigText::ProxyState)}</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
}

#[component]
fn Row(proxy: Proxy) -> impl IntoView {
    let state = worst(&proxy);
    let (sign, text) = match (proxy.connected, state) {
        (false, _) => (view! { <Glyph icon=Icon::Minus/> }.into_any(), t(ConfigText::Disconnected).to_owned()),
        (true, SyncState::Synced) => (view! { <Sign mark=Mark::Fine/> }.into_any(), t(ConfigText::Synced).to_owned()),
        (true, SyncState::Waiting) => (view! { <Sign mark=Mark::Degraded/> }.into_any(), t(ConfigText::Waiting).to_owned()),
        (true, SyncState::Refused) => {
            let words = proxy.last_error.clone().unwrap_or_default();
            (view! { <Sign mark=Mark::Failing/> }.into_any(), format!("{}: {words}", t(ConfigText::Refused)))
        }
    };
    view! { <tr><td class="mark-cell">{sign}</td><td>{proxy.name}</td><td>{proxy.namespace}</td><td class="cut">{text}</td></tr> }
}

fn worst(proxy: &Proxy) -> SyncState {
    let has = |state| proxy.types.values().any(|sync| sync.state == state);
    if has(SyncState::Refused) {
        SyncState::Refused
    } else if has(SyncState::Waiting) {
        SyncState::Waiting
    } else {
        SyncState::Synced
    }
}
