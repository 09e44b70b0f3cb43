//! The one header row: what is looked at, and when.

mod display;
mod find;
mod namespaces;
mod time;

pub use time::window_words;

use leptos::prelude::*;
use sidelight_api::graph::GraphType;

use super::icons::{Glyph, Icon};
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::state::{Step, Theme, Ui};

#[component]
pub fn Header() -> impl IntoView {
    let ui = Ui::get();
    let on_graph = Memo::new(move |_| ui.path.with(|path| path.starts_with("/graph")));
    view! {
        <header class="bar">
            <namespaces::NamespaceMenu/>
            <Show when=move || on_graph.get()>
                <TypeSwitch/>
                <display::DisplayMenu/>
                <find::FindBox/>
            </Show>
            <span class="grow"></span>
            <time::WindowMenu/>
            <time::LiveControl/>
            <span class="divider"></span>
            <ThemeButton/>
            <LanguageButton/>
        </header>
    }
}

#[component]
fn TypeSwitch() -> impl IntoView {
    let ui = Ui::get();
    let kinds = [
        (GraphType::App, Frame::TypeApp),
        (GraphType::VersionedApp, Frame::TypeVersionedApp),
        (GraphType::Workload, Frame::TypeWorkload),
        (GraphType::Service, Frame::TypeService),
    ];
    // Another type has other nodes, so the selection cannot stay.
    let choose = move |kind| {
        ui.update(Step::Push, |view| {
            view.graph_type = kind;
            view.selection = None;
        });
    };
    view! {
        <div class="segments" role="radiogroup" aria-label=t(Frame::GraphType)>
            {kinds.map(|(kind, text)| {
                let chosen = move || ui.view.with(|view| view.graph_type == kind);
                view! {
                    <button type="button" role="radio" class:chosen=chosen aria-checked=move || chosen().to_string()
                        data-test=format!("type-{}", kind.as_str()) on:click=move |_| choose(kind)>{t(text)}</button>
                }
            }).collect_view()}
        </div>
    }
}

#[component]
fn ThemeButton() -> impl IntoView {
    let ui = Ui::get();
    let name = move || t(if ui.theme.get() == Theme::Dark { Frame::ThemeToLight } else { Frame::ThemeToDark });
    view! {
        <button type="button" class="control square" title=name aria-label=name data-test="theme" on:click=move |_| ui.toggle_theme()>
            {move || view! { <Glyph icon=if ui.theme.get() == Theme::Dark { Icon::Moon } else { Icon::Sun }/> }}
        </button>
    }
}

#[component]
fn LanguageButton() -> impl IntoView {
    let ui = Ui::get();
    let english = ui.language.get_untracked() == crate::i18n::Language::English;
    view! {
        <button type="button" class="control language" title=t(Frame::SwitchLanguage) aria-label=t(Frame::SwitchLanguage) data-test="language"
            on:click=move |_| ui.set_language(ui.language.get_untracked().other())>
            <span class:chosen=english>"EN"</span>" / "<span class:chosen=!english>"中文"</span>
        </button>
    }
}
