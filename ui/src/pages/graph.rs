//! The graph page: reads the graph, keeps its picture, and puts the pieces of the page together.

mod board;
mod boxes;
mod canvas;
mod cards;
mod legend;
mod links;
mod panel;
mod states;
mod timeline;
mod toolbar;
mod traffic;

use leptos::prelude::*;

use crate::i18n::graph::GraphText;
use crate::i18n::t;
use board::Board;

#[component]
pub fn GraphPage() -> impl IntoView {
    let board = Board::provide();
    view! {
        <h1 class="visually-hidden">{t(GraphText::Title)}</h1>
        <div class="graph-page">
            <states::StaleStrip board/>
            <div class="stage">
                <canvas::Canvas board/>
                <states::Notice board/>
                <toolbar::Toolbar board/>
                <legend::Legend board/>
                <panel::Panel board/>
            </div>
            <timeline::TimeLine board/>
        </div>
    }
}
