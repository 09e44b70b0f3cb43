//! The strip of what an object's text points at; what is missing says so.

use leptos::prelude::*;
use sidelight_api::config::Reference;

use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::{count, t};
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
    let (icon, letters, kind) = if is_mesh(&reference) { (Icon::Mesh, "", None) } else { look(&reference.kind) };
    let remark = remark(&reference);
    if !reference.exists {
        return view! {
            <span class="reference missing" data-test="missing-reference"><Sign mark=Mark::Failing size=14/><b>{letters}" "{reference.name}</b>{t(ConfigText::DoesNotExist)}</span>
        }
        .into_any();
    }
    let body = view! { <Glyph icon size=14/><b>{letters}" "{reference.name.clone()}</b><span class="aside">{remark}</span> };
    match kind {
        Some(kind) if !is_mesh(&reference) => {
            let address = page(kind, &reference.namespace, &reference.name);
            view! { <a class="reference" href=move || ui.link(&address)>{body}</a> }.into_any()
        }
        _ => view! { <span class="reference">{body}</span> }.into_any(),
    }
}

/// The word that stands for all sidecars is no object.
fn is_mesh(reference: &Reference) -> bool {
    reference.kind == "gateway" && reference.name == "mesh"
}

fn remark(reference: &Reference) -> Option<String> {
    if is_mesh(reference) {
        return Some(t(ConfigText::EverySidecar).to_owned());
    }
    reference.workloads.map(|number| count(number as usize, ConfigText::OneWorkload, ConfigText::Workloads))
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
