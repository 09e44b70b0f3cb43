//! The find box.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

use crate::components::icons::{Glyph, Icon};
use crate::i18n::frame::Frame;
use crate::i18n::{fill, t};
use crate::model::find::{self, Query};
use crate::platform;
use crate::state::{Step, Ui};

#[component]
pub fn FindBox() -> impl IntoView {
    let ui = Ui::get();
    let text = move || ui.view.with(|view| view.find.clone());
    let focused = RwSignal::new(false);
    let set = move |find: String| ui.update(Step::Replace, |view| view.find = find);
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            set(String::new());
            platform::focus_element("page");
        }
    };
    let problem = move || Query::parse(&text()).err().map(|unknown| unknown.to_string());
    view! {
        <div class="find" class:wrong=move || problem().is_some() role="search">
            <Glyph icon=Icon::Search/>
            <input id="find" type="text" spellcheck="false" autocomplete="off" placeholder=t(Frame::Find) aria-label=t(Frame::Find) data-test="find"
                prop:value=text on:input=move |event| set(event_target_value(&event)) on:keydown=on_key
                on:focus=move |_| focused.set(true) on:blur=move |_| focused.set(false)/>
            {move || if text().is_empty() {
                view! { <kbd>"/"</kbd> }.into_any()
            } else {
                view! {
                    <span class="found" data-test="found">{move || ui.found.get().map(|n| fill(Frame::FindFound, &[&n]))}</span>
                    <button type="button" class="plain" aria-label=t(Frame::Clear) title=t(Frame::Clear) on:click=move |_| set(String::new())>
                        <Glyph icon=Icon::Close/>
                    </button>
                }.into_any()
            }}
            <Show when=move || focused.get()><Hints problem=Signal::derive(problem)/></Show>
        </div>
    }
}

#[component]
fn Hints(problem: Signal<Option<String>>) -> impl IntoView {
    let ui = Ui::get();
    // The field would lose the focus, and the hints with it, before a click arrives.
    let add = move |word: &'static str| {
        ui.update(Step::Replace, |view| {
            view.find = format!("{} {word}", view.find.trim()).trim().to_owned();
        });
    };
    view! {
        <div class="card-menu left hints" on:mousedown=|event| event.prevent_default()>
            {move || problem.get().map(|text| view! { <p class="problem">{text}</p> })}
            {find::EXAMPLES.iter().map(|example| view! {
                <button type="button" class="choice" on:click=move |_| add(example.text)>
                    <code>{example.text}</code><span class="remark">{t(example.meaning)}</span>
                </button>
            }).collect_view()}
            <p class="remark">{t(Frame::FindHelp)}</p>
        </div>
    }
}
