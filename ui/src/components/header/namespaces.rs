//! Which namespaces.

use leptos::prelude::*;
use sidelight_api::graph::Namespace;

use crate::components::icons::{Glyph, Icon};
use crate::components::menu::Menu;
use crate::i18n::frame::Frame;
use crate::i18n::{fill, t};
use crate::state::{Namespaces, Step, Ui};

#[component]
pub fn NamespaceMenu() -> impl IntoView {
    let ui = Ui::get();
    let namespaces = Namespaces::get();
    let label =
        move || ui.view.with(|view| view.namespaces.first().cloned()).unwrap_or_else(|| t(Frame::AllNamespaces).to_owned());
    let more = move || {
        let chosen = ui.view.with(|view| view.namespaces.len());
        let all = namespaces.0.value.with(|list| list.as_ref().map_or(0, |list| list.len()));
        match chosen {
            0 if all > 0 => Some(all.to_string()),
            0 | 1 => None,
            n => Some(format!("+{}", n - 1)),
        }
    };
    let button = move || {
        view! {
            <Glyph icon=Icon::Box/>
            <span class="label">{label}</span>
            {move || more().map(|count| view! { <span class="count">{count}</span> })}
            <Glyph icon=Icon::Down/>
        }
    };
    view! {
        <Menu name=t(Frame::Namespaces).to_owned() test="namespaces" button=ViewFn::from(button)>
            <Choices ui namespaces/>
        </Menu>
    }
}

#[component]
fn Choices(ui: Ui, namespaces: Namespaces) -> impl IntoView {
    let list = move || namespaces.0.value.get().map(|list| list.as_ref().clone()).unwrap_or_default();
    let all = move || ui.view.with(|view| view.namespaces.is_empty());
    view! {
        <button type="button" class="choice" role="menuitemcheckbox" aria-checked=move || all().to_string()
            on:click=move |_| ui.update(Step::Push, |view| view.namespaces.clear())>
            <Tick on=Signal::derive(all)/><span>{t(Frame::AllNamespaces)}</span>
        </button>
        <hr/>
        {move || list().is_empty().then(|| view! { <p class="remark">{t(Frame::NoNamespaces)}</p> })}
        <For each=list key=|namespace: &Namespace| (namespace.name.clone(), namespace.workloads) let:namespace>
            <Choice ui namespaces namespace/>
        </For>
    }
}

#[component]
fn Choice(ui: Ui, namespaces: Namespaces, namespace: Namespace) -> impl IntoView {
    let name = StoredValue::new(namespace.name.clone());
    let on = Signal::derive(move || {
        ui.view.with(|view| view.namespaces.is_empty() || name.with_value(|name| view.namespaces.contains(name)))
    });
    let toggle = move |_| {
        let known = namespaces.names();
        ui.update(Step::Push, |view| view.toggle_namespace(&name.get_value(), &known));
    };
    let only = move |_| ui.update(Step::Push, |view| view.namespaces = vec![name.get_value()]);
    view! {
        <div class="choice-row">
            <button type="button" class="choice" role="menuitemcheckbox" aria-checked=move || on.get().to_string() on:click=toggle>
                <Tick on/>
                <span>{namespace.name}</span>
                <span class="remark">{fill(Frame::WorkloadsShort, &[&namespace.workloads])}</span>
            </button>
            <button type="button" class="only" on:click=only>{t(Frame::OnlyThis)}</button>
        </div>
    }
}

/// The box of a choice; the tick shows by CSS.
#[component]
pub fn Tick(#[prop(into)] on: Signal<bool>) -> impl IntoView {
    view! { <span class="tick" class:on=move || on.get()><Glyph icon=Icon::Check size=12/></span> }
}
