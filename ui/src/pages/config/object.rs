//! One object: its text, what it refers to, what the checks say, and saving it.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_params_map;
use sidelight_api::config::{
    ApplyResponse, History, ObjectDetail, RollbackRequest, SaveRequest, ValidateRequest, ValidateResponse,
};
use sidelight_api::proxy::ProxyList;
use sidelight_mesh::finding::{Finding, Severity};

use crate::client::{self, Failure, Feed};
use crate::components::editor::{Editor, Place};
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::Failed;
use crate::i18n::config::ConfigText;
use crate::i18n::{count, fill, t};
use crate::model::config::{Progress, badge, endpoint, progress};
use crate::model::diff::changed_lines;
use crate::model::format;
use crate::platform;
use crate::state::Ui;

use super::drawer::Drawer;
use super::references::References;
use super::rollout::RolloutStrip;

/// Typing must have paused this long before the text is checked.
const CHECK_AFTER: std::time::Duration = std::time::Duration::from_millis(250);
/// The strip goes this long after every proxy runs what was saved.
const STRIP_STAYS_MS: i64 = 10_000;

/// The object being edited; cheap to copy.
#[derive(Clone, Copy)]
pub struct Draft {
    pub endpoint: Memo<String>,
    pub detail: Feed<ObjectDetail>,
    pub history: Feed<History>,
    pub proxies: Feed<ProxyList>,
    /// What the editor shows.
    pub text: RwSignal<String>,
    /// The saved text that `text` started from, and its revision.
    pub base: RwSignal<(String, u64)>,
    pub checked: RwSignal<Option<ValidateResponse>>,
    pub checking: RwSignal<bool>,
    pub busy: RwSignal<bool>,
    pub refusal: RwSignal<Option<Failure>>,
    pub message: RwSignal<String>,
    /// When the last save of this visit was answered.
    pub saved_at_ms: RwSignal<Option<i64>>,
    pub place: RwSignal<Place>,
}

impl Draft {
    fn new(ui: Ui, endpoint: Memo<String>) -> Self {
        let saves = RwSignal::new(0u64);
        let draft = Self {
            endpoint,
            detail: Feed::new(move || Some(endpoint.get()), move || ui.tick.get() + saves.get()),
            history: Feed::new(move || Some(format!("{}/history", endpoint.get())), move || ui.tick.get()),
            proxies: Feed::new(|| Some("/api/proxies".to_owned()), move || ui.tick.get()),
            text: RwSignal::new(String::new()),
            base: RwSignal::new((String::new(), 0)),
            checked: RwSignal::new(None),
            checking: RwSignal::new(false),
            busy: RwSignal::new(false),
            refusal: RwSignal::new(None),
            message: RwSignal::new(String::new()),
            saved_at_ms: RwSignal::new(None),
            place: RwSignal::new(Place::default()),
        };
        draft.follow_saved_text();
        draft.check_while_typing();
        draft
    }

    pub fn dirty(self) -> bool {
        self.base.with(|(base, _)| self.text.with(|text| text != base))
    }

    /// Takes over what is saved unless the reader has begun to change it.
    fn follow_saved_text(self) {
        Effect::new(move |_| {
            let Some(detail) = self.detail.value.get() else { return };
            let (fresh, unchanged) = (self.base.with_untracked(|(_, r)| *r == 0), !untrack(move || self.dirty()));
            if fresh || unchanged {
                self.take(&detail);
            }
        });
    }

    fn take(self, detail: &ObjectDetail) {
        self.base.set((detail.yaml.clone(), detail.summary.revision));
        self.text.set(detail.yaml.clone());
    }

    fn check_while_typing(self) {
        Effect::new(move |waiting: Option<Option<TimeoutHandle>>| {
            if let Some(Some(timer)) = waiting {
                timer.clear();
            }
            let text = self.text.get();
            if text.is_empty() {
                return None;
            }
            self.checking.set(true);
            set_timeout_with_handle(move || spawn_local(self.check(text.clone())), CHECK_AFTER).ok()
        });
    }

    async fn check(self, text: String) {
        let request = ValidateRequest { yaml: text.clone(), namespace: None };
        let answer = client::send::<_, ValidateResponse>(Method::POST, "/api/config/validate", &request).await;
        // An answer about a text that has changed meanwhile is about nothing.
        if self.text.try_with_untracked(|now| *now == text) != Some(true) {
            return;
        }
        self.checking.set(false);
        if let Ok(answer) = answer {
            self.checked.set(Some(answer));
        }
    }

    pub fn findings(self) -> Vec<Finding> {
        self.checked.with(|checked| checked.as_ref().map(|c| c.findings.clone()).unwrap_or_default())
    }

    pub fn has_errors(self) -> bool {
        self.checked.with(|checked| checked.as_ref().is_some_and(|c| c.findings.iter().any(|f| f.severity == Severity::Error)))
    }

    /// The revision that somebody else saved while this text was being changed.
    fn overtaken_by(self) -> Option<u64> {
        let saved = self.detail.value.with(|detail| detail.as_ref().map(|d| d.summary.revision))?;
        (self.dirty() && saved > self.base.with(|(_, revision)| *revision)).then_some(saved)
    }

    fn save(self, overwrite: bool) {
        let request = SaveRequest {
            yaml: self.text.get_untracked(),
            message: self.message.get_untracked(),
            base_revision: (!overwrite).then(|| self.base.with_untracked(|(_, revision)| *revision)),
        };
        self.send(Method::PUT, self.endpoint.get_untracked(), request);
    }

    pub fn roll_back(self, revision: u64) {
        let address = format!("{}/rollback", self.endpoint.get_untracked());
        let base_revision = Some(self.base.with_untracked(|(_, revision)| *revision));
        self.send(Method::POST, address, RollbackRequest { revision, message: String::new(), base_revision });
    }

    fn send<B: serde::Serialize + 'static>(self, method: Method, address: String, body: B) {
        let ui = Ui::get();
        self.busy.set(true);
        self.refusal.set(None);
        spawn_local(async move {
            let answer = client::send::<_, ApplyResponse>(method, &address, &body).await;
            self.busy.try_set(false);
            match answer {
                Ok(_) => self.settle().await,
                Err(failure) => drop(self.refusal.try_set(Some(failure))),
            }
            ui.refresh_now();
        });
    }

    /// Reads back what was saved, so that the editor starts from it.
    async fn settle(self) {
        self.message.try_set(String::new());
        self.saved_at_ms.try_set(Some(platform::now_ms()));
        let Some(address) = self.endpoint.try_get_untracked() else { return };
        if let Ok(detail) = client::get::<ObjectDetail>(&address, None).await
            && self.base.try_with_untracked(|_| ()).is_some()
        {
            self.take(&detail);
        }
    }

    fn delete(self, ui: Ui) {
        let address = self.endpoint.get_untracked();
        self.busy.set(true);
        spawn_local(async move {
            match client::call::<Option<serde_json::Value>>(Method::DELETE, &address).await {
                Ok(_) => ui.open("/config"),
                Err(failure) => drop(self.refusal.try_set(Some(failure))),
            }
            self.busy.try_set(false);
        });
    }
}

#[component]
pub fn ObjectPage() -> impl IntoView {
    let ui = Ui::get();
    let params = use_params_map();
    let address = Memo::new(move |_| {
        let part = |name: &str| params.with(|params| params.get(name).unwrap_or_default());
        endpoint(&part("kind"), &part("namespace"), &part("name"))
    });
    // Another object is another draft: nothing of the former one may linger.
    move || {
        address.track();
        let draft = Draft::new(ui, address);
        view! { <Whole draft/> }
    }
}

#[component]
fn Whole(draft: Draft) -> impl IntoView {
    let ui = Ui::get();
    let loaded = Memo::new(move |_| draft.detail.value.with(Option::is_some));
    move || match (loaded.get(), draft.detail.failure.get()) {
        (true, _) => view! { <Editing draft/> }.into_any(),
        (false, Some(failure)) => view! {
            <Failed title=t(ConfigText::ObjectFailed) failure retry=Callback::new(move |()| ui.refresh_now())/>
        }
        .into_any(),
        (false, None) => {
            view! { <div class="config-page" aria-busy="true"><div class="title-row"><span class="bone wide"></span></div></div> }
                .into_any()
        }
    }
}

#[component]
fn Editing(draft: Draft) -> impl IntoView {
    let changed = Memo::new(move |_| draft.base.with(|(base, _)| draft.text.with(|text| changed_lines(base, text))));
    let lines = move || lines_of(draft.text.with(|text| text.lines().count()));
    let references = Signal::derive(move || draft.checked.with(|c| c.as_ref().map(|c| c.references.clone()).unwrap_or_default()));
    view! {
        <div class="config-page object" data-test="object-page">
            <TitleRow draft changed/>
            <Strips draft/>
            <References references/>
            <section class="yaml">
                <header><b>{t(ConfigText::Yaml)}</b><span class="aside">{lines}</span></header>
                <Editor text=draft.text findings=Signal::derive(move || draft.findings()) changed place=draft.place/>
            </section>
            <Drawer draft/>
        </div>
    }
}

fn lines_of(number: usize) -> String {
    count(number, ConfigText::OneLine, ConfigText::Lines)
}

#[component]
fn TitleRow(draft: Draft, changed: Memo<Vec<u32>>) -> impl IntoView {
    let ui = Ui::get();
    let deleting = RwSignal::new(false);
    let detail = move || draft.detail.value.get();
    let name = move || detail().map(|d| d.summary.key.name.clone()).unwrap_or_default();
    let badge = move || detail().map(|d| badge(&d.summary.key.kind).to_owned()).unwrap_or_default();
    let kind = move || detail().map(|d| format!("{} · {}", d.summary.key.kind, d.summary.key.namespace)).unwrap_or_default();
    let state = move || {
        match changed.with(Vec::len) {
        _ if draft.dirty() => view! { <span class="badge warn" data-test="unsaved"><Sign mark=Mark::Degraded size=14/>{fill(ConfigText::Unsaved, &[&lines_of(changed.with(|c| c.len().max(1)))])}</span> }.into_any(),
        _ => {
            let text = detail().map(|d| fill(ConfigText::SavedBy, &[&d.summary.revision, &format::age(ui.now_ms.get() - d.summary.updated_at_ms), &d.summary.author]));
            view! { <span class="badge quiet" data-test="revision-chip">{text}</span> }.into_any()
        }
    }
    };
    let save_text = move || {
        let text = if draft.busy.get() {
            ConfigText::Saving
        } else if draft.dirty() {
            ConfigText::Save
        } else {
            ConfigText::Saved
        };
        t(text)
    };
    let barred = move || draft.busy.get() || !draft.dirty() || draft.has_errors();
    view! {
        <div class="title-row">
            <a class="back" href=move || ui.link("/config")><Glyph icon=Icon::ChevronLeft/>{t(ConfigText::ToList)}</a>
            <span class="kind">{badge}</span><h1>{name}</h1><span class="aside">{kind}</span>{state}
            <span class="grow"></span>
            <span class="aside" data-test="check-state">{move || t(if draft.checking.get() { ConfigText::Checking } else { ConfigText::Checked })}</span>
            {move || draft.dirty().then(|| view! {
                <input class="message" type="text" maxlength="500" placeholder=t(ConfigText::Message) aria-label=t(ConfigText::Message)
                    prop:value=move || draft.message.get() on:input=move |e| draft.message.set(event_target_value(&e)) data-test="message"/>
                <button type="button" class="button" on:click=move |_| draft.text.set(draft.base.with_untracked(|(base, _)| base.clone())) data-test="discard"><Glyph icon=Icon::Undo/>{t(ConfigText::Discard)}</button>
            })}
            <button type="button" class="button" on:click=move |_| ui.refresh_now() data-test="reload"><Glyph icon=Icon::Refresh/>{t(ConfigText::Reload)}</button>
            <button type="button" class="button" on:click=move |_| deleting.set(true) data-test="delete"><Glyph icon=Icon::Trash/>{t(ConfigText::Delete)}</button>
            <button type="button" class="button primary" disabled=barred on:click=move |_| draft.save(false) data-test="save"><Glyph icon=Icon::Check/>{save_text}</button>
        </div>
        {move || deleting.get().then(|| view! {
            <div class="strip bad" role="alertdialog" data-test="delete-question">
                <Sign mark=Mark::Failing size=18/><b>{fill(ConfigText::DeleteSure, &[&name()])}</b><span class="grow"></span>
                <button type="button" class="button" on:click=move |_| deleting.set(false)>{t(ConfigText::Keep)}</button>
                <button type="button" class="button danger" on:click=move |_| draft.delete(ui) data-test="delete-sure">{t(ConfigText::Delete)}</button>
            </div>
        })}
    }
}

/// What must not be missed: a refusal, an overtaken edit, how far a save has come.
#[component]
fn Strips(draft: Draft) -> impl IntoView {
    let ui = Ui::get();
    let refused = move || {
        draft.refusal.get().map(|failure| view! {
        <div class="strip bad" role="alert" data-test="save-refused"><Sign mark=Mark::Failing size=18/><b>{t(ConfigText::SaveRefused)}</b><span>{failure.message}</span>
            {failure.findings.first().map(|f| view! { <code class="refusal">{format!("{}:{} {} {}", f.line, f.column, f.message, f.code)}</code> })}
        </div>
    })
    };
    let overtaken = move || {
        draft.overtaken_by().map(|revision| view! {
        <div class="strip warn" role="alert" data-test="overtaken"><Sign mark=Mark::Degraded size=18/><b>{fill(ConfigText::Conflict, &[&revision])}</b><span class="grow"></span>
            <button type="button" class="button" on:click=move |_| { if let Some(detail) = draft.detail.value.get_untracked() { draft.take(&detail); } }>{t(ConfigText::LoadTheirs)}</button>
            <button type="button" class="button" on:click=move |_| draft.save(true)>{t(ConfigText::KeepMine)}</button>
        </div>
    })
    };
    let rollout = Memo::new(move |_| {
        let saved_at_ms = draft.saved_at_ms.get()?;
        let rollout = draft.detail.value.with(|detail| detail.as_ref().map(|d| d.summary.rollout.clone()))?;
        let settled = matches!(progress(&rollout), Progress::Everywhere | Progress::Nowhere);
        (!settled || ui.now_ms.get() - saved_at_ms < STRIP_STAYS_MS).then_some(rollout)
    });
    let error = Signal::derive(move || {
        draft.proxies.value.with(|list| list.as_ref().and_then(|list| list.proxies.iter().find_map(|p| p.last_error.clone())))
    });
    view! { {refused}{overtaken}{move || rollout.get().map(|rollout| view! { <RolloutStrip rollout error/> })} }
}
