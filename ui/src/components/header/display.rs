//! What the graph shows.

use leptos::prelude::*;

use super::namespaces::Tick;
use crate::components::icons::{Glyph, Icon};
use crate::components::menu::Menu;
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::model::view::{EdgeLabel, View};
use crate::state::{Step, Ui};

/// A switch of the view: its text and where it lives.
type Switch = (Frame, fn(&mut View) -> &mut bool);

const SWITCHES: [Switch; 6] = [
    (Frame::ShowNamespaceBoxes, |view| &mut view.namespace_boxes),
    (Frame::ShowAppBoxes, |view| &mut view.app_boxes),
    (Frame::ShowServices, |view| &mut view.services),
    (Frame::ShowIdle, |view| &mut view.idle),
    (Frame::ShowLocks, |view| &mut view.locks),
    (Frame::ShowTraffic, |view| &mut view.animation),
];

#[component]
pub fn DisplayMenu() -> impl IntoView {
    let button = || view! { <Glyph icon=Icon::Eye/><span class="label">{t(Frame::Display)}</span><Glyph icon=Icon::Down/> };
    view! {
        <Menu name=t(Frame::Display).to_owned() test="display" button=ViewFn::from(button)>
            <Labels/>
            <hr/>
            <Switches/>
        </Menu>
    }
}

#[component]
fn Labels() -> impl IntoView {
    let ui = Ui::get();
    let row = move |label: EdgeLabel| {
        let text = match label {
            EdgeLabel::Rate => Frame::LabelRate,
            EdgeLabel::P95 => Frame::LabelP95,
            EdgeLabel::Errors => Frame::LabelErrors,
            EdgeLabel::Share => Frame::LabelShare,
        };
        let on = move || ui.view.with(|view| view.label == label);
        view! {
            <button type="button" class="choice" role="menuitemradio" aria-checked=move || on().to_string()
                on:click=move |_| ui.update(Step::Push, |view| view.label = label)>
                <span class="dot" class:on=on></span><span>{t(text)}</span>
            </button>
        }
    };
    view! { <p class="head">{t(Frame::EdgeLabel)}</p>{EdgeLabel::ALL.map(row).collect_view()} }
}

#[component]
fn Switches() -> impl IntoView {
    let ui = Ui::get();
    let row = move |(text, place): Switch| {
        let on = Signal::derive(move || *place(&mut ui.view.get()));
        let toggle = move |_| {
            ui.update(Step::Push, |view| {
                let value = place(view);
                *value = !*value;
            });
        };
        view! {
            <button type="button" class="choice" role="menuitemcheckbox" aria-checked=move || on.get().to_string() on:click=toggle>
                <Tick on/><span>{t(text)}</span>
            </button>
        }
    };
    view! { <p class="head">{t(Frame::Show)}</p>{SWITCHES.map(row).collect_view()} }
}
