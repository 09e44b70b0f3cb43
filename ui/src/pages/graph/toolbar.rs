//! Zoom, fit, layout and legend, at the foot of the canvas.

use leptos::prelude::*;

use super::board::Board;
use super::canvas::ZOOM_STEP;
use crate::components::icons::{Glyph, Icon};
use crate::components::menu::{Menu, Side};
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::view::Direction;
use crate::state::Step;

#[component]
pub fn Toolbar(board: Board) -> impl IntoView {
    let zoom = move || board.camera.with(|camera| format!("{:.0} %", camera.zoom * 100.0));
    view! {
        <div class="toolbar" role="toolbar">
            <button type="button" class="tool" title=t(GraphText::ZoomOut) aria-label=t(GraphText::ZoomOut) on:click=move |_| board.zoom(1.0 / ZOOM_STEP, None)>
                <Glyph icon=Icon::Minus/>
            </button>
            <button type="button" class="tool zoom" title="100 %" on:click=move |_| { let now = board.camera.get_untracked().zoom; board.zoom(1.0 / now, None) }>{zoom}</button>
            <button type="button" class="tool" title=t(GraphText::ZoomIn) aria-label=t(GraphText::ZoomIn) on:click=move |_| board.zoom(ZOOM_STEP, None)>
                <Glyph icon=Icon::Plus/>
            </button>
            <button type="button" class="tool" data-test="fit" on:click=move |_| board.fit()><Glyph icon=Icon::Fit/>{t(GraphText::Fit)}</button>
            <span class="divider"></span>
            <LayoutMenu board/>
            <span class="divider"></span>
            <button type="button" class="tool" class:on=move || board.legend_open.get() aria-pressed=move || board.legend_open.get().to_string()
                on:click=move |_| board.legend_open.update(|open| *open = !*open)><Glyph icon=Icon::Legend/>{t(GraphText::Legend)}</button>
        </div>
    }
}

#[component]
fn LayoutMenu(board: Board) -> impl IntoView {
    let drawn = move || board.picture.with(|p| p.as_ref().map(|p| p.placement.direction));
    let word = move || {
        t(match drawn() {
            Some(Direction::Right) => GraphText::Right,
            _ => GraphText::Down,
        })
    };
    let button = move || view! { <Glyph icon=Icon::Layout/><span>{move || fill(GraphText::Layout, &[&word()])}</span><Glyph icon=Icon::Down/> };
    let choices =
        [(Some(Direction::Down), GraphText::Down), (Some(Direction::Right), GraphText::Right), (None, GraphText::Automatic)];
    let name = fill(GraphText::Layout, &[&""]);
    view! {
        <Menu name=name.trim_end_matches([' ', ':', '：']).to_owned() side=Side::Above class="tool" test="layout" button=ViewFn::from(button)>
            {choices.map(|(direction, text)| {
                let on = move || board.ui.view.with(|view| view.direction == direction);
                let choose = move |_| board.ui.update(Step::Push, |view| view.direction = direction);
                view! {
                    <button type="button" class="choice" role="menuitemradio" aria-checked=move || on().to_string() on:click=choose>
                        <span class="dot" class:on=on></span><span>{t(text)}</span>
                    </button>
                }
            }).collect_view()}
            <hr/>
            <button type="button" class="choice" on:click=move |_| board.arrange_again()><Glyph icon=Icon::Refresh/><span>{t(GraphText::Arrange)}</span></button>
        </Menu>
    }
}
