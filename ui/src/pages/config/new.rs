//! A new object, from a template of its kind.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::query_signal;
use sidelight_api::config::{ApplyRequest, ApplyResponse, ValidateRequest, ValidateResponse};
use sidelight_mesh::finding::Severity;

use crate::client::{self, Failure};
use crate::components::editor::{Editor, Place};
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::t;
use crate::model::config::{KINDS, page, template};
use crate::state::{Namespaces, Ui};

use super::findings::Findings;
use super::references::References;

const CHECK_AFTER: std::time::Duration = std::time::Duration::from_millis(250);

#[component]
pub fn NewPage() -> impl IntoView {
    let ui = Ui::get();
    let (kind, set_kind) = query_signal::<String>("kind");
    let kind = Memo::new(move |_| kind.get().unwrap_or_else(|| KINDS[0].0.to_owned()));
    let namespaces = Namespaces::get();
    let namespace = move || {
        let chosen = ui.view.with(|view| view.namespaces.first().cloned());
        chosen
            .or_else(|| namespaces.names().into_iter().find(|name| !name.ends_with("-system")))
            .unwrap_or_else(|| "default".to_owned())
    };
    let text = RwSignal::new(String::new());
    let checked = RwSignal::new(None::<ValidateResponse>);
    let refusal = RwSignal::new(None::<Failure>);
    let busy = RwSignal::new(false);
    let place = RwSignal::new(Place::default());
    // The template follows the choices until somebody has typed over it.
    Effect::new(move |offered: Option<String>| {
        let next = template(&kind.get(), &namespace());
        let untouched = text.with_untracked(|text| text.is_empty() || offered.as_ref() == Some(text));
        if untouched {
            text.set(next.clone());
        }
        next
    });
    check_while_typing(text, checked);
    let findings = Signal::derive(move || checked.with(|c| c.as_ref().map(|c| c.findings.clone()).unwrap_or_default()));
    let references = Signal::derive(move || checked.with(|c| c.as_ref().map(|c| c.references.clone()).unwrap_or_default()));
    let errors = move || findings.with(|list| list.iter().any(|f| f.severity == Severity::Error));
    let save = move |_| {
        busy.set(true);
        refusal.set(None);
        spawn_local(create(ui, text.get_untracked(), refusal, busy));
    };
    let option = move |(name, _): (&'static str, &str)| view! { <option value=name selected=move || kind.with(|k| k == name)>{name}</option> };
    view! {
        <div class="config-page object">
            <div class="title-row">
                <a class="back" href=move || ui.link("/config")><Glyph icon=Icon::ChevronLeft/>{t(ConfigText::ToList)}</a>
                <h1>{t(ConfigText::NewTitle)}</h1>
                <label class="aside">{t(ConfigText::StartFrom)}" "
                    <select class="control" on:change=move |e| set_kind.set(Some(event_target_value(&e))) data-test="template">{KINDS.map(option).collect_view()}</select>
                </label>
                <span class="grow"></span>
                <button type="button" class="button primary" disabled=move || busy.get() || errors() on:click=save data-test="save"><Glyph icon=Icon::Check/>{t(ConfigText::Save)}</button>
            </div>
            {move || refusal.get().map(|failure| view! {
                <div class="strip bad" role="alert" data-test="save-refused"><Sign mark=Mark::Failing size=18/><b>{t(ConfigText::SaveRefused)}</b><span>{failure.message}</span></div>
            })}
            <References references/>
            <section class="yaml">
                <header><b>{t(ConfigText::Yaml)}</b></header>
                <Editor text findings changed=Signal::derive(Vec::new) place/>
            </section>
            <section class="drawer"><div class="drawer-body"><Findings findings text place/></div></section>
        </div>
    }
}

fn check_while_typing(text: RwSignal<String>, checked: RwSignal<Option<ValidateResponse>>) {
    Effect::new(move |waiting: Option<Option<TimeoutHandle>>| {
        if let Some(Some(timer)) = waiting {
            timer.clear();
        }
        let now = text.get();
        let check = move || {
            spawn_local(async move {
                let request = ValidateRequest { yaml: now.clone(), namespace: None };
                let answer = client::send::<_, ValidateResponse>(Method::POST, "/api/config/validate", &request).await;
                if text.try_with_untracked(|text| *text == now) == Some(true)
                    && let Ok(answer) = answer
                {
                    checked.set(Some(answer));
                }
            });
        };
        set_timeout_with_handle(check, CHECK_AFTER).ok()
    });
}

async fn create(ui: Ui, yaml: String, refusal: RwSignal<Option<Failure>>, busy: RwSignal<bool>) {
    let request = ApplyRequest { yaml, message: String::new(), namespace: None, dry_run: false };
    let answer = client::send::<_, ApplyResponse>(Method::POST, "/api/config/apply", &request).await;
    busy.try_set(false);
    match answer {
        Ok(answer) => match answer.results.first() {
            Some(result) => ui.open(&page(&result.key.kind, &result.key.namespace, &result.key.name)),
            None => ui.open("/config"),
        },
        Err(failure) => drop(refusal.try_set(Some(failure))),
    }
}
