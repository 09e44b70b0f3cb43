//! The drawer under the editor: difference, findings, proxies, history.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::query_signal;
use sidelight_mesh::finding::Severity;

use crate::i18n::config::ConfigText;
use crate::i18n::t;
use crate::model::diff::diff;

use super::findings::Findings;
use super::history::{HistoryTab, SideBySide};
use super::object::Draft;
use super::proxies::ProxiesTab;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Diff,
    Findings,
    Proxies,
    History,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Diff, Self::Findings, Self::Proxies, Self::History];

    fn word(self) -> &'static str {
        match self {
            Self::Diff => "diff",
            Self::Findings => "findings",
            Self::Proxies => "proxies",
            Self::History => "history",
        }
    }

    fn name(self) -> &'static str {
        t(match self {
            Self::Diff => ConfigText::TabDiff,
            Self::Findings => ConfigText::TabFindings,
            Self::Proxies => ConfigText::TabProxies,
            Self::History => ConfigText::TabHistory,
        })
    }
}

#[component]
pub fn Drawer(draft: Draft) -> impl IntoView {
    let (word, set_word) = query_signal::<String>("tab");
    let tab = Memo::new(move |_| {
        Tab::ALL.into_iter().find(|tab| word.with(|word| word.as_deref() == Some(tab.word()))).unwrap_or(Tab::Findings)
    });
    let found = Memo::new(move |_| draft.base.with(|(base, _)| draft.text.with(|text| diff(base, text))));
    let count = move |tab: Tab| match tab {
        Tab::Diff => found.with(|found| found.added.max(found.removed)),
        Tab::Findings => draft.checked.with(|checked| checked.as_ref().map_or(0, |c| c.findings.len())),
        Tab::Proxies => draft.proxies.value.with(|list| list.as_ref().map_or(0, |list| list.proxies.len())),
        Tab::History => draft.history.value.with(|history| history.as_ref().map_or(0, |h| h.revisions.len())),
    };
    let alarm = move |tab: Tab| match tab {
        Tab::Findings if draft.has_errors() => "count bad",
        Tab::Findings
            if draft.checked.with(|c| c.as_ref().is_some_and(|c| c.findings.iter().any(|f| f.severity == Severity::Warning))) =>
        {
            "count warn"
        }
        _ => "count",
    };
    let button = move |each: Tab| {
        view! {
            <button type="button" role="tab" class="tab" class:here=move || tab.get() == each aria-selected=move || (tab.get() == each).to_string()
                on:click=move |_| set_word.set(Some(each.word().to_owned())) data-test=format!("tab-{}", each.word())>
                {each.name()}<span class=move || alarm(each)>{move || count(each)}</span>
            </button>
        }
    };
    let body = move || {
        match tab.get() {
        Tab::Diff => view! { <DiffTab draft/> }.into_any(),
        Tab::Findings => view! { <Findings findings=Signal::derive(move || draft.findings()) text=draft.text place=draft.place/> }.into_any(),
        Tab::Proxies => view! { <ProxiesTab feed=draft.proxies/> }.into_any(),
        Tab::History => view! {
            <HistoryTab feed=draft.history roll_back=Callback::new(move |revision| draft.roll_back(revision)) busy=draft.busy refusal=draft.refusal/>
        }
        .into_any(),
    }
    };
    view! {
        <section class="drawer" class:tall=move || tab.get() == Tab::History>
            <div class="tabs" role="tablist">{Tab::ALL.map(button).collect_view()}</div>
            <div class="drawer-body" role="tabpanel">{body}</div>
        </section>
    }
}

#[component]
fn DiffTab(draft: Draft) -> impl IntoView {
    move || {
        if !draft.dirty() {
            return view! { <p class="drawer-note">{t(ConfigText::NoDiff)}</p> }.into_any();
        }
        let (old, new) = (draft.base.with(|(base, _)| base.clone()), draft.text.get());
        let found = diff(&old, &new);
        view! { <SideBySide old=Arc::from(old) new=Arc::from(new) found/> }.into_any()
    }
}
