//! What a view shows when it has nothing to show: why, and what to do.

use leptos::prelude::*;

use super::icons::{Glyph, Icon, Mark, Sign};
use crate::client::Failure;
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::model::format;
use crate::platform;

/// What failed, in words and verbatim, and a way to try again.
#[component]
pub fn Failed(#[prop(into)] title: String, failure: Failure, retry: Callback<()>) -> impl IntoView {
    let answer = if failure.status == 0 { String::new() } else { failure.status.to_string() };
    let time = format::time_of_day(failure.at_ms, platform::offset_minutes(failure.at_ms));
    let verbatim = format!("{}\n{} {}", failure.request, failure.status, failure.message);
    view! {
        <section class="notice" role="alert" data-test="failed">
            <h1><Sign mark=Mark::Failing size=22/>{title}</h1>
            <p>{failure.message.clone()}</p>
            <div class="verbatim">
                <code>{failure.request.clone()}<br/><span class="bad">{answer}</span>" "{time}", "{failure.took_ms}" ms"</code>
                <CopyButton text=verbatim/>
            </div>
            <div class="actions">
                <button type="button" class="button primary" on:click=move |_| retry.run(())><Glyph icon=Icon::Refresh/>{t(Frame::TryAgain)}</button>
            </div>
        </section>
    }
}

#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>) -> impl IntoView {
    let copied = RwSignal::new(false);
    let name = move || t(if copied.get() { Frame::Copied } else { Frame::Copy });
    let copy = move |_| {
        platform::copy_text(&text.get_untracked());
        copied.set(true);
    };
    view! {
        <button type="button" class="plain" title=name aria-label=name on:click=copy>
            {move || view! { <Glyph icon=if copied.get() { Icon::Check } else { Icon::Copy }/> }}
        </button>
    }
}
