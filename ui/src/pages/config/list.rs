//! All configuration objects, worst first, one line each.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::query_signal_with_options;
use sidelight_api::config::{ObjectList, ObjectSummary};

use crate::client::Feed;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::Failed;
use crate::i18n::config::ConfigText;
use crate::i18n::{count, fill, t};
use crate::model::config::{Filter, KINDS, Progress, badge, page, progress, sort};
use crate::model::format;
use crate::state::Ui;

use super::rollout::RolloutBar;

/// Rows of the skeleton while the first answer is on its way.
const SKELETON_ROWS: usize = 8;

#[component]
pub fn ListPage() -> impl IntoView {
    let ui = Ui::get();
    let feed = Feed::<ObjectList>::new(move || Some(format!("/api/config{}", namespaces_query(ui))), move || ui.tick.get());
    let replace = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
    let (kind, set_kind) = query_signal_with_options::<String>("kind", replace.clone());
    let (text, set_text) = query_signal_with_options::<String>("filter", replace);
    let filter = Memo::new(move |_| Filter { kind: kind.get(), text: text.get().unwrap_or_default() });
    let all = Memo::new(move |_| feed.value.with(|list| list.as_ref().map(|list| list.objects.clone()).unwrap_or_default()));
    let rows = Memo::new(move |_| {
        let mut rows: Vec<_> = filter.with(|filter| all.with(|all| all.iter().filter(|o| filter.keeps(o)).cloned().collect()));
        sort(&mut rows);
        rows
    });
    let body = move || {
        match (feed.value.with(Option::is_some), feed.failure.get()) {
        (false, Some(failure)) => view! {
            <Failed title=t(ConfigText::Failed) failure retry=Callback::new(move |()| ui.refresh_now())/>
        }
        .into_any(),
        (false, None) => skeleton().into_any(),
        (true, _) if all.with(Vec::is_empty) => empty(ui).into_any(),
        (true, _) if rows.with(Vec::is_empty) => view! {
            <div class="notice"><h1>{t(ConfigText::NoneFits)}</h1>
                <button type="button" class="button" on:click=move |_| { set_text.set(None); set_kind.set(None); }>{t(ConfigText::ClearFilter)}</button>
            </div>
        }
        .into_any(),
        (true, _) => view! { <Table rows/> }.into_any(),
    }
    };
    view! {
        <div class="config-page">
            <div class="title-row">
                <h1>{t(ConfigText::Title)}</h1>
                <span class="aside">{move || summary(&all.get())}</span>
                <span class="grow"></span>
                <a class="button primary" href=move || ui.link("/config/new") data-test="new-object"><Glyph icon=Icon::Plus/>{t(ConfigText::New)}</a>
            </div>
            <div class="config-list">
                <nav class="facets" aria-label=t(ConfigText::Kind)>
                    <h2>{t(ConfigText::Kind)}</h2>
                    <Facet name=None all kind set=Callback::new(move |kind| set_kind.set(kind))/>
                    {KINDS.map(|(name, _)| view! { <Facet name=Some(name) all kind set=Callback::new(move |kind| set_kind.set(kind))/> }).collect_view()}
                </nav>
                <div class="list-main">
                    <label class="filter-bar"><Glyph icon=Icon::Search/>
                        <input type="search" placeholder=t(ConfigText::Filter) aria-label=t(ConfigText::Filter) prop:value=move || text.get().unwrap_or_default()
                            on:input=move |e| set_text.set(Some(event_target_value(&e)).filter(|text| !text.is_empty())) data-test="config-filter"/>
                    </label>
                    {body}
                </div>
            </div>
        </div>
    }
}

#[component]
fn Facet(
    name: Option<&'static str>,
    all: Memo<Vec<ObjectSummary>>,
    kind: Memo<Option<String>>,
    set: Callback<Option<String>>,
) -> impl IntoView {
    let total = move || all.with(|all| all.iter().filter(|o| name.is_none_or(|name| o.key.kind == name)).count());
    let here = move || kind.with(|kind| kind.as_deref() == name);
    view! {
        <button type="button" class="facet" class:here=here aria-pressed=move || here().to_string() on:click=move |_| set.run(name.map(str::to_owned))>
            <span>{name.unwrap_or(t(ConfigText::AllKinds))}</span><span class="count">{total}</span>
        </button>
    }
}

#[component]
fn Table(rows: Memo<Vec<ObjectSummary>>) -> impl IntoView {
    // Keyed by everything that a row shows, so that only changed rows are drawn anew.
    let row_key = |o: &ObjectSummary| format!("{:?}", (&o.key, o.revision, o.errors, o.warnings, &o.rollout));
    view! {
        <div class="table-wrap">
            <table class="table" data-test="config-table">
                <thead><tr>
                    <th>{t(ConfigText::Name)}</th><th>{t(ConfigText::Namespace)}</th><th>{t(ConfigText::Findings)}</th><th>{t(ConfigText::Worst)}</th>
                    <th>{t(ConfigText::Hosts)}</th><th>{t(ConfigText::OnProxies)}</th><th>{t(ConfigText::LastChange)}</th>
                </tr></thead>
                <tbody><For each=move || rows.get() key=row_key let:object><Row object/></For></tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(object: ObjectSummary) -> impl IntoView {
    let ui = Ui::get();
    let address = page(&object.key.kind, &object.key.namespace, &object.key.name);
    let open = address.clone();
    let (at_ms, author, revision) = (object.updated_at_ms, object.author.clone(), object.revision);
    let changed = move || fill(ConfigText::By, &[&format::age(ui.now_ms.get() - at_ms), &author, &revision]);
    let worst = object.worst.as_ref().map(|finding| finding.message.clone()).unwrap_or_default();
    let hosts = object.hosts.join(", ");
    view! {
        <tr class="row" on:click=move |_| ui.open(&open) data-test="object-row" data-kind=object.key.kind.clone() data-name=object.key.name.clone() data-namespace=object.key.namespace.clone()>
            <td><span class="kind" title=object.key.kind.clone()>{badge(&object.key.kind).to_owned()}</span>
                <a href=move || ui.link(&address) on:click=|e| e.stop_propagation()>{object.key.name.clone()}</a></td>
            <td>{object.key.namespace.clone()}</td>
            <td class="counts">
                <span class="slot">{(object.errors > 0).then(|| view! { <Sign mark=Mark::Failing size=14/>{object.errors} })}</span>
                <span class="slot">{(object.warnings > 0).then(|| view! { <Sign mark=Mark::Degraded size=14/>{object.warnings} })}</span>
            </td>
            <td class="cut" title=worst.clone()>{worst.clone()}</td>
            <td class="cut" title=hosts.clone()>{hosts.clone()}</td>
            <td><RolloutBar rollout=object.rollout.clone()/></td>
            <td class="quiet">{changed}</td>
        </tr>
    }
}

fn empty(ui: Ui) -> impl IntoView {
    view! {
        <div class="notice" data-test="empty">
            <h1>{t(ConfigText::None)}</h1>
            <p>{t(ConfigText::NoneHint)}</p>
            <a class="button primary" href=move || ui.link("/config/new")><Glyph icon=Icon::Plus/>{t(ConfigText::New)}</a>
        </div>
    }
}

fn skeleton() -> impl IntoView {
    let rows = (0..SKELETON_ROWS)
        .map(|_| view! { <div class="bone-row"><span class="bone"></span><span class="bone short"></span></div> });
    view! { <div class="table-wrap" aria-busy="true">{rows.collect_view()}</div> }
}

fn summary(all: &[ObjectSummary]) -> String {
    let errors: u32 = all.iter().map(|o| o.errors).sum();
    let warnings: u32 = all.iter().map(|o| o.warnings).sum();
    let behind = all.iter().filter(|o| matches!(progress(&o.rollout), Progress::Waiting | Progress::Refused)).count();
    let mut text = [
        count(all.len(), ConfigText::OneObject, ConfigText::Objects),
        count(errors as usize, ConfigText::OneError, ConfigText::Errors),
        count(warnings as usize, ConfigText::OneWarning, ConfigText::Warnings),
    ]
    .join(" · ");
    if behind > 0 {
        text.push_str(" · ");
        text.push_str(&fill(ConfigText::NotEverywhere, &[&behind]));
    }
    text
}

fn namespaces_query(ui: Ui) -> String {
    ui.view.with(
        |view| if view.namespaces.is_empty() { String::new() } else { format!("?namespaces={}", view.namespaces.join(",")) },
    )
}
