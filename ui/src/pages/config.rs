//! The configuration objects: the list, a new one, one of them.

use leptos::prelude::*;
use sidelight_api::config::{ObjectList, ObjectSummary};

use crate::client::Feed;
use crate::components::states::Failed;
use crate::i18n::config::ConfigText;
use crate::i18n::{fill, t};
use crate::model::view::Query;
use crate::state::{Namespaces, Ui};

#[component]
pub fn ListPage() -> impl IntoView {
    let ui = Ui::get();
    let namespaces = Namespaces::get();
    let path = move || {
        let mut query = Query::default();
        query.put("namespaces", &namespaces.wanted(&ui.view.get())?.join(","));
        Some(format!("/api/config{}", query.finish()))
    };
    let feed = Feed::<ObjectList>::new(path, move || ui.tick.get());
    let objects = move || feed.value.get().map(|list| list.objects.clone()).unwrap_or_default();
    let empty = move || feed.value.with(|list| list.as_ref().is_some_and(|list| list.objects.is_empty()));
    view! {
        <div class="page-body">
            <div class="title-row"><h1>{t(ConfigText::Title)}</h1><span class="remark">{move || fill(ConfigText::Objects, &[&objects().len()])}</span></div>
            {move || feed.failure.get().filter(|_| feed.value.with(Option::is_none)).map(|failure| view! {
                <Failed title=t(ConfigText::Failed) failure retry=Callback::new(move |()| ui.refresh_now())/>
            })}
            <table class="table">
                <thead><tr><th>{t(ConfigText::Kind)}</th><th>{t(ConfigText::Name)}</th><th>{t(ConfigText::Namespace)}</th></tr></thead>
                <tbody><For each=objects key=|object: &ObjectSummary| (object.key.clone(), object.revision) let:object><Row object/></For></tbody>
            </table>
            {move || empty().then(|| view! { <p class="remark">{t(ConfigText::None)}</p> })}
        </div>
    }
}

#[component]
fn Row(object: ObjectSummary) -> impl IntoView {
    let ui = Ui::get();
    let path = format!("/config/{}/{}/{}", object.key.kind, object.key.namespace, object.key.name);
    view! { <tr><td>{object.key.kind}</td><td><a href=move || ui.link(&path)>{object.key.name}</a></td><td>{object.key.namespace}</td></tr> }
}

/// Until the editor is there, both addresses lead back to the list.
#[component]
pub fn NewPage() -> impl IntoView {
    view! { <ListPage/> }
}

#[component]
pub fn ObjectPage() -> impl IntoView {
    view! { <ListPage/> }
}
