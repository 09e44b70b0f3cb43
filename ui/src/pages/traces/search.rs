//! The search field, and the searches that are one click away.

use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::Shown;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::frame::Frame;
use crate::i18n::traces::TraceText;
use crate::i18n::{fill, t};
use crate::model::traces::{Search, trace_id};
use crate::model::view::View;
use crate::platform;
use crate::state::{Step, Ui};

#[component]
pub fn SearchBar(shown: Memo<Option<Shown>>) -> impl IntoView {
    let ui = Ui::get();
    let text = move || ui.view.with(|view| view.find.clone());
    let set = move |find: String| ui.update(Step::Replace, |view| view.find = find);
    let on_key = move |event: KeyboardEvent| match event.key().as_str() {
        "Escape" => {
            set(String::new());
            platform::focus_element("page");
        }
        "Enter" => {
            if let Some(id) = trace_id(&text()) {
                ui.open(&format!("/traces/{id}"));
            }
        }
        _ => {}
    };
    let problem = move || Search::parse(&text()).err().filter(|_| trace_id(&text()).is_none());
    view! {
        <div class="traces-search">
            <label class="filter-bar" class:wrong=move || problem().is_some()><Glyph icon=Icon::Search/>
                <input id="find" type="search" spellcheck="false" autocomplete="off" placeholder=t(TraceText::Search) aria-label=t(TraceText::SearchName)
                    data-test="trace-search" prop:value=text on:input=move |event| set(event_target_value(&event)) on:keydown=on_key/>
                <Show when=move || !text().is_empty()>
                    <button type="button" class="plain" aria-label=t(Frame::Clear) title=t(Frame::Clear) on:click=move |_| set(String::new())><Glyph icon=Icon::Close/></button>
                </Show>
            </label>
            <OnlyErrors shown/>
            <OverP95 shown/>
        </div>
        {move || problem().map(|word| view! { <p class="traces-problem bad" role="alert">{fill(TraceText::Unknown, &[&word])}</p> })}
    }
}

#[component]
fn OnlyErrors(shown: Memo<Option<Shown>>) -> impl IntoView {
    let ui = Ui::get();
    let search = move || ui.view.with(|view| Search::parse(&view.find)).unwrap_or_default();
    let on = move || search().errors;
    let toggle = move |_| ui.update(Step::Push, |view| change(view, |search| search.errors = !search.errors));
    view! {
        <button type="button" class="button small pill-button" class:on=on aria-pressed=move || on().to_string() data-test="only-errors" on:click=toggle>
            <Sign mark=Mark::Failing size=14/>{t(TraceText::OnlyErrors)}<b>{move || shown.with(|shown| shown.as_ref().map_or(0, |shown| shown.failed))}</b>
        </button>
    }
}

#[component]
fn OverP95(shown: Memo<Option<Shown>>) -> impl IntoView {
    let ui = Ui::get();
    let p95 = move || shown.with(|shown| shown.as_ref().and_then(|shown| shown.p95_us)).filter(|us| *us > 0);
    let on_click = move |_| {
        if let Some(us) = p95() {
            ui.update(Step::Push, |view| change(view, |search| search.min = Some(format!("{us}us"))));
        }
    };
    view! {
        <Show when=move || p95().is_some()>
            <button type="button" class="button small pill-button" data-test="over-p95" on:click=on_click>{t(TraceText::OverP95)}</button>
        </Show>
    }
}

/// Changes the search by what it means, not by its letters.
pub(super) fn change(view: &mut View, change: impl FnOnce(&mut Search)) {
    let mut search = Search::parse(&view.find).unwrap_or_default();
    change(&mut search);
    view.find = search.text();
}
