//! The strip of what an object's text points at; what is missing says so.

use leptos::prelude::*;
use sidelight_api::config::Reference;

use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::{fill, t};
use crate::model::config::page;
use crate::state::Ui;

#[component]
pub fn References(#[prop(into)] references: Signal<Vec<Reference>>) -> impl IntoView {
    view! {
        <div class="references" class:hidden=move || references.with(Vec::is_empty)>
            <span class="aside">{t(ConfigText::RefersTo)}</span>
            {move || references.get().into_iter().map(|reference| view! { <Chip reference/> }).collect_view()}
        </div>
    }
}

#[component]
fn Chip(reference: Reference) -> impl IntoView {
    let ui = Ui::get();
    let (icon, letters, kind) = look(&reference.kind);
    let count = reference.workloads.map(|count| fill(ConfigText::Workloads, &[&count]));
    if !reference.exists {
        return view! {
            <span class="reference missing" data-test="missing-reference"><Sign mark=Mark::Failing size=14/><b>{letters}" "{reference.name}</b>{t(ConfigText::DoesNotExist)}</span>
        }
        .into_any();
    }
    let body = view! { <Glyph icon size=14/><b>{letters}" "{reference.name.clone()}</b><span class="aside">{count}</span> };
    match kind {
        Some(kind) => {
            let address = page(kind, &reference.namespace, &reference.name);
            view! { <a class="reference" href=move || ui.link(&address)>{body}</a> }.into_any()
        }
        None => view! { <span class="reference">{body}</span> }.into_any(),
    }
}

/// Icon, letters, and the kind of the object behind it where it has a page.
fn look(kind: &str) -> (Icon, &'static str, Option<&'static str>) {
    match kind {
        "gateway" => (Icon::Gateway, "GW", Some("Gateway")),
        "service" => (Icon::Service, "S", Some("Service")),
        "destinationRule" => (Icon::Config, "DR", Some("DestinationRule")),
        "virtualService" => (Icon::Config, "VS", Some("VirtualService")),
        "subset" => (Icon::App, "subset", None),
        _ => (Icon::Workload, "", None),
    }
}
