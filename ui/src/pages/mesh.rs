//! The mesh page.

use leptos::prelude::*;

use crate::i18n::mesh::MeshText;
use crate::i18n::t;

#[component]
pub fn MeshPage() -> impl IntoView {
    view! { <h1>{t(MeshText::Title)}</h1> }
}
