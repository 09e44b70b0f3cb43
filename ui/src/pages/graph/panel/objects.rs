//! The configuration objects that act on a service, as links.

use std::collections::BTreeSet;

use leptos::prelude::*;
use sidelight_api::config::ObjectSummary;

use super::super::board::Board;
use crate::components::icons::{Mark, Sign};
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::platform;

/// A change younger than this is told beside the object.
const RECENT_MS: i64 = 6 * 3600 * 1000;
const OBJECTS_MAX: usize = 8;

/// Services by name and namespace.
pub type Services = BTreeSet<(String, String)>;

#[component]
pub fn Objects(board: Board, services: Services) -> impl IntoView {
    let services = StoredValue::new(services);
    let found = Memo::new(move |_| {
        board.objects.value.with(|list| {
            let all = list.iter().flat_map(|list| list.objects.iter());
            services.with_value(|services| {
                all.filter(|object| acts_on(object, services)).take(OBJECTS_MAX).cloned().collect::<Vec<_>>()
            })
        })
    });
    let known = move || board.objects.value.with(Option::is_some);
    view! {
        <section>
            <h3>{t(GraphText::ConfigHere)}</h3>
            {move || (known() && found.with(Vec::is_empty)).then(|| view! { <p class="remark">{t(GraphText::ConfigNone)}</p> })}
            <ul class="rows">
                <For each=move || found.get() key=|object| (object.key.clone(), object.revision, object.errors, object.warnings) let:object>
                    <Row board object/>
                </For>
            </ul>
        </section>
    }
}

#[component]
fn Row(board: Board, object: ObjectSummary) -> impl IntoView {
    let path = format!("/config/{}/{}/{}", object.key.kind, object.key.namespace, object.key.name);
    let age = board.ui.now_ms.get_untracked() - object.updated_at_ms;
    let clock = format::hour_minute(object.updated_at_ms, platform::offset_minutes(object.updated_at_ms));
    let changed = (age < RECENT_MS).then(|| fill(GraphText::Changed, &[&clock, &object.author]));
    let sign = if object.errors > 0 {
        Some(Mark::Failing)
    } else if object.warnings > 0 {
        Some(Mark::Degraded)
    } else {
        None
    };
    view! {
        <li>
            <span class="kind" title=object.key.kind.clone()>{short_kind(&object.key.kind)}</span>
            <a href=move || board.ui.link(&path) data-test="object-link">{object.key.name}</a>
            {sign.map(|mark| view! { <Sign mark size=14/> })}
            {changed.map(|text| view! { <i class="change-square"></i><span class="remark">{text}</span> })}
        </li>
    }
}

fn acts_on(object: &ObjectSummary, services: &Services) -> bool {
    object.key.kind != "Service"
        && object
            .hosts
            .iter()
            .any(|host| services.iter().any(|(name, namespace)| names(host, &object.key.namespace, name, namespace)))
}

/// Whether a host of an object in `from` is that service: short, with its namespace, or in full.
fn names(host: &str, from: &str, name: &str, namespace: &str) -> bool {
    let mut parts = host.splitn(3, '.');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    first == name && second.unwrap_or(from) == namespace
}

/// `VirtualService` → `VS`
pub fn short_kind(kind: &str) -> String {
    kind.chars().filter(char::is_ascii_uppercase).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_where_the_object_stands() {
        assert!(names("reviews", "bookinfo", "reviews", "bookinfo"));
        assert!(names("reviews.bookinfo.svc.cluster.local", "istio-system", "reviews", "bookinfo"));
        assert!(!names("reviews", "shop", "reviews", "bookinfo"));
        assert!(!names("*", "bookinfo", "reviews", "bookinfo"));
        assert_eq!(short_kind("DestinationRule"), "DR");
    }
}
