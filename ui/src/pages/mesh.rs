//! The mesh page: every proxy, what it runs, and whether its telemetry arrives.

mod detail;
mod summary;
mod table;

use leptos::prelude::*;
use sidelight_api::proxy::{Proxy, ProxyList};
use sidelight_api::status::Status;

use crate::client::Feed;
use crate::components::icons::{Mark, Sign};
use crate::components::states::Failed;
use crate::i18n::mesh::MeshText;
use crate::i18n::{fill, t};
use crate::model::mesh::{Trouble, sorted};
use crate::model::view::{Selection, View};
use crate::state::{Step, Ui};

type Rows = Vec<(Trouble, Proxy)>;

#[component]
pub fn MeshPage() -> impl IntoView {
    let ui = Ui::get();
    let proxies = Feed::<ProxyList>::new(|| Some("/api/proxies".to_owned()), move || ui.tick.get());
    let status = Feed::<Status>::new(|| Some("/api/status".to_owned()), || 0);
    let rows = Memo::new(move |_| {
        let shown = ui.view.with(|view| view.namespaces.clone());
        let wanted = |proxy: &&(Trouble, Proxy)| shown.is_empty() || shown.contains(&proxy.1.namespace);
        // The clock counts in steps of five seconds here, so that the table is not sorted each second.
        let now = ui.now_ms.get() / 5000 * 5000;
        proxies
            .value
            .with(|list| list.as_ref().map(|list| sorted(&list.proxies, now).iter().filter(wanted).cloned().collect::<Rows>()))
    });
    let retry = Callback::new(move |()| ui.refresh_now());
    let body = move || {
        match rows.with(|rows| rows.as_ref().map(Vec::is_empty)) {
        Some(false) => view! { <Filled rows status/> }.into_any(),
        Some(true) => view! {
            <section class="notice" data-test="empty"><h1>{t(MeshText::None)}</h1><p class="remark">{t(MeshText::NoneHint)}</p></section>
        }
        .into_any(),
        None => match proxies.failure.get() {
            Some(failure) => view! { <Failed title=t(MeshText::Failed) failure retry/> }.into_any(),
            None => view! { <table::Bones/> }.into_any(),
        },
    }
    };
    view! { <div class="mesh-page"><Title rows version=Signal::derive(move || proxies.value.with(|l| l.as_ref().map(|l| l.version.clone())))/>{body}</div> }
}

#[component]
fn Title(rows: Memo<Option<Rows>>, version: Signal<Option<String>>) -> impl IntoView {
    let counts = move || {
        rows.with(|rows| {
            rows.as_ref().map(|rows| (rows.iter().filter(|(trouble, _)| *trouble != Trouble::None).count(), rows.len()))
        })
    };
    view! {
        <div class="title-row">
            <h1>{t(MeshText::Title)}</h1>
            {move || counts().filter(|(_, all)| *all > 0).map(|(look, all)| if look > 0 {
                view! { <span class="badge warn" data-test="mesh-badge"><Sign mark=Mark::Degraded size=14/>{fill(MeshText::NeedLook, &[&look, &all])}</span> }.into_any()
            } else {
                view! { <span class="badge ok" data-test="mesh-badge"><Sign mark=Mark::Fine size=14/>{fill(MeshText::AllFine, &[&all])}</span> }.into_any()
            })}
            <span class="remark">{move || version.get().filter(|v| !v.is_empty()).map(|v| fill(MeshText::Version, &[&v]))}</span>
        </div>
    }
}

#[component]
fn Filled(rows: Memo<Option<Rows>>, status: Feed<Status>) -> impl IntoView {
    let ui = Ui::get();
    let chosen = Memo::new(move |_| ui.view.with(selected));
    let detail = Memo::new(move |_| {
        rows.with(|rows| chosen.get().and_then(|id| rows.as_ref()?.iter().find(|(_, p)| p.node_id == id).cloned()))
    });
    view! {
        <summary::Summary rows status/>
        <div class="mesh-main" class:with-detail=move || detail.with(Option::is_some)>
            <table::Table rows chosen/>
            {move || detail.get().map(|(_, proxy)| view! { <detail::Detail proxy/> })}
        </div>
    }
}

/// The proxy in the address.
fn selected(view: &View) -> Option<String> {
    match &view.selection {
        Some(Selection::Node(id)) => Some(id.clone()),
        _ => None,
    }
}

fn select(ui: Ui, id: Option<String>) {
    ui.update(Step::Push, |view| view.selection = id.map(Selection::Node));
}
