//! The graph page.

use leptos::prelude::*;

use crate::i18n::graph::GraphText;
use crate::i18n::t;

#[component]
pub fn GraphPage() -> impl IntoView {
    view! { <h1 class="visually-hidden">{t(GraphText::Title)}</h1> }
}
