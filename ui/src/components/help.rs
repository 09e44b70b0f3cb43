//! The list of keys, on `?`.

use leptos::prelude::*;

use super::icons::{Glyph, Icon};
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::platform;
use crate::state::Ui;

const KEYS: [(&str, Frame); 11] = [
    ("/", Frame::KeyFind),
    ("Esc", Frame::KeyEscape),
    ("+  −", Frame::KeyZoom),
    ("0", Frame::KeyFit),
    ("← ↑ → ↓", Frame::KeyPan),
    ("Tab", Frame::KeyNext),
    ("l", Frame::KeyLegend),
    ("p", Frame::KeyPause),
    ("d", Frame::KeyTheme),
    ("1  2  3  4", Frame::KeyPages),
    ("?", Frame::KeyHelp),
];

#[component]
pub fn Help() -> impl IntoView {
    let ui = Ui::get();
    Effect::new(move |_| {
        if ui.help.get() {
            platform::focus_element("help-close");
        }
    });
    move || {
        ui.help.get().then(|| view! {
        <div class="veil" on:click=move |_| ui.help.set(false)>
            <section class="sheet" role="dialog" aria-modal="true" aria-labelledby="help-title" on:click=|event| event.stop_propagation()>
                <header>
                    <h2 id="help-title">{t(Frame::KeysTitle)}</h2>
                    <button id="help-close" type="button" class="plain" aria-label=t(Frame::Close) on:click=move |_| ui.help.set(false)><Glyph icon=Icon::Close/></button>
                </header>
                <dl class="keys">
                    {KEYS.map(|(keys, text)| view! {
                        <dt>{keys.split("  ").map(|key| view! { <kbd>{key.to_owned()}</kbd> }).collect_view()}</dt>
                        <dd>{t(text)}</dd>
                    }).collect_view()}
                </dl>
            </section>
        </div>
    })
    }
}
