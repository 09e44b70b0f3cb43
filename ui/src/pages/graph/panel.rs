//! The side panel: what is selected in numbers, or everything when nothing is.

mod edge;
mod node;
mod objects;
mod parts;
mod totals;

use leptos::prelude::*;

use super::board::Board;
use crate::components::icons::{Glyph, Icon};
use crate::i18n::graph::GraphText;
use crate::i18n::t;
use crate::model::view::Selection;

#[component]
pub fn Panel(board: Board) -> impl IntoView {
    let selection = Memo::new(move |_| board.ui.view.with(|view| view.selection.clone()));
    let ready = Memo::new(move |_| board.picture.with(|picture| picture.as_ref().is_some_and(|p| !p.scene.cards.is_empty())));
    move || {
        if !ready.get() {
            return ().into_any();
        }
        if !board.panel_open.get() {
            return view! {
                <button type="button" class="panel-open control" title=t(GraphText::ShowPanel) aria-label=t(GraphText::ShowPanel)
                    on:click=move |_| board.panel_open.set(true)><Glyph icon=Icon::ChevronLeft/></button>
            }
            .into_any();
        }
        let inside = match selection.get() {
            Some(Selection::Node(id)) => view! { <node::NodePanel board id/> }.into_any(),
            Some(Selection::Edge(id)) => view! { <edge::EdgePanel board id/> }.into_any(),
            None => view! { <totals::TotalsPanel board/> }.into_any(),
        };
        view! { <aside class="panel" data-test="panel">{inside}</aside> }.into_any()
    }
}
