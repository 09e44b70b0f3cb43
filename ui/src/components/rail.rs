//! The rail on the left: which page.

use leptos::prelude::*;

use super::icons::{Glyph, Icon, Lantern};
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::state::Ui;

#[component]
pub fn Rail() -> impl IntoView {
    let ui = Ui::get();
    view! {
        <nav class="rail" aria-label=t(Frame::Navigation)>
            <a class="home" href=move || ui.link("/graph") title="Sidelight" aria-label="Sidelight"><Lantern/></a>
            <Entry path="/graph" icon=Icon::Graph name=Frame::NavGraph/>
            <Entry path="/traces" icon=Icon::Trace name=Frame::NavTraces/>
            <Entry path="/config" icon=Icon::Config name=Frame::NavConfig/>
            <Entry path="/mesh" icon=Icon::Mesh name=Frame::NavMesh/>
            <span class="grow"></span>
            <button class="entry" type="button" title=t(Frame::Help) aria-label=t(Frame::Help) on:click=move |_| ui.help.set(true)>
                <Glyph icon=Icon::Help size=20/>
            </button>
        </nav>
    }
}

#[component]
fn Entry(path: &'static str, icon: Icon, name: Frame) -> impl IntoView {
    let ui = Ui::get();
    let here = move || ui.path.with(|p| p == path || p.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    view! {
        <a class="entry" class:here=here href=move || ui.link(path) title=t(name) aria-label=t(name)
            aria-current=move || here().then_some("page") data-test=format!("nav{}", path.replace('/', "-"))>
            <Glyph icon size=20/>
        </a>
    }
}
