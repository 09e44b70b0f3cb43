//! Flags on the time line: which objects were changed, when and by whom.

use std::sync::Arc;

use leptos::prelude::*;
use sidelight_api::config::Action;
use sidelight_api::timeline::{Change, Timeline};

use super::super::board::Board;
use crate::i18n::graph::GraphText;
use crate::i18n::{fill, t};
use crate::model::chart::{Scale, bundles};
use crate::model::format;
use crate::platform;

/// Flags nearer to each other than this become one.
const FLAG_SPACE: f64 = 12.0;
/// Changes that one flag's card lists.
const LISTED_MAX: usize = 5;
/// Up to this many are told with who and why.
const DETAILED_MAX: usize = 2;
/// Nearer to the end, the card opens to the left.
const CARD_SPACE: f64 = 300.0;

#[component]
pub fn Flags(board: Board, scale: Memo<Option<Scale>>, timeline: RwSignal<Option<Arc<Timeline>>>) -> impl IntoView {
    let bundled = move || {
        let changes = timeline.with(|timeline| timeline.as_ref().map(|timeline| timeline.changes.clone()).unwrap_or_default());
        scale.get().map(|scale| bundles(changes, &scale, FLAG_SPACE)).unwrap_or_default()
    };
    let key = |bundle: &Vec<Change>| {
        bundle.iter().map(|c| format!("{}{}{}{}", c.kind, c.namespace, c.name, c.revision)).collect::<String>()
    };
    view! { <For each=bundled key=key let:bundle><Flag board bundle scale/></For> }
}

#[component]
fn Flag(board: Board, bundle: Vec<Change>, scale: Memo<Option<Scale>>) -> impl IntoView {
    let open = RwSignal::new(false);
    let at = bundle.first().map(|change| change.t_ms).unwrap_or_default();
    let x = move || scale.with(|scale| scale.map_or(0.0, |scale| scale.x(at)));
    let near_end = move || scale.with(|scale| scale.is_some_and(|scale| scale.x(at) > scale.width - CARD_SPACE));
    let link = StoredValue::new(match bundle.as_slice() {
        [one] => format!("/config/{}/{}/{}", one.kind, one.namespace, one.name),
        _ => "/config".to_owned(),
    });
    let name =
        bundle.iter().take(LISTED_MAX).map(|change| format!("{} {}", change.kind, change.name)).collect::<Vec<_>>().join(", ");
    let bundle = StoredValue::new(bundle);
    let card = move || {
        bundle.with_value(|bundle| {
            let more = bundle.len().saturating_sub(LISTED_MAX);
            let brief = bundle.len() > DETAILED_MAX;
            view! {
                {bundle.iter().take(LISTED_MAX).map(|change| entry(change, brief)).collect_view()}
                {(more > 0).then(|| view! { <p class="remark">{fill(GraphText::MoreChanges, &[&more])}</p> })}
            }
        })
    };
    view! {
        <div class="flag" class:open=move || open.get() style=move || format!("left:{:.1}px", x())
            on:pointerenter=move |_| open.set(true) on:pointerleave=move |_| open.set(false)>
            <a class="flag-mark" href=move || link.with_value(|path| board.ui.link(path)) aria-label=name
                on:focus=move |_| open.set(true) on:blur=move |_| open.set(false) data-test="change"></a>
            {move || open.get().then(|| view! { <div class="flag-card" class:left=near_end>{card()}</div> })}
        </div>
    }
}

fn entry(change: &Change, brief: bool) -> impl IntoView + use<> {
    let time = format::time_of_day(change.t_ms, platform::offset_minutes(change.t_ms));
    let what = fill(GraphText::ChangeBy, &[&t(action_text(change.action)), &change.author]);
    view! {
        <header><i class="change-square"></i><b>{format!("{} {}", change.kind, change.name)}</b><span class="remark">{time}</span></header>
        {(!brief).then(|| view! { <p class="remark">{format!("{what} · r{}", change.revision)}</p> })}
        {(!brief && !change.message.is_empty()).then(|| view! { <code>{change.message.clone()}</code> })}
    }
}

fn action_text(action: Action) -> GraphText {
    match action {
        Action::Created => GraphText::Created,
        Action::Configured => GraphText::Configured,
        Action::Unchanged => GraphText::Unchanged,
        Action::Deleted => GraphText::Deleted,
        Action::RolledBack => GraphText::RolledBack,
    }
}
