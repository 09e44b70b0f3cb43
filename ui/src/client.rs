//! The one place that fetches: JSON in and out, refusals in words, a request that is no longer wanted is aborted.

use std::sync::Arc;

use gloo_net::http::{Method, RequestBuilder, Response};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::{Serialize, de::DeserializeOwned};
use sidelight_api::error::{ErrorBody, ErrorKind};
use sidelight_mesh::finding::Finding;
use web_sys::{AbortController, AbortSignal};

use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::state::Ui;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// `GET /api/…`
    pub request: String,
    /// 0 when no answer came at all.
    pub status: u16,
    pub kind: Option<ErrorKind>,
    pub message: String,
    pub findings: Vec<Finding>,
    pub at_ms: i64,
    pub took_ms: i64,
}

impl Failure {
    pub fn unauthorized(&self) -> bool {
        self.status == 401
    }
}

pub async fn get<T: DeserializeOwned>(path: &str, abort: Option<&AbortSignal>) -> Result<T, Failure> {
    exchange(Method::GET, path, None::<&()>, abort).await
}

pub async fn send<B: Serialize, T: DeserializeOwned>(method: Method, path: &str, body: &B) -> Result<T, Failure> {
    exchange(method, path, Some(body), None).await
}

/// For requests without a body, whose answer may be empty (`null` reads as `()` or an `Option`).
pub async fn call<T: DeserializeOwned>(method: Method, path: &str) -> Result<T, Failure> {
    exchange(method, path, None::<&()>, None).await
}

async fn exchange<B: Serialize, T: DeserializeOwned>(
    method: Method,
    path: &str,
    body: Option<&B>,
    abort: Option<&AbortSignal>,
) -> Result<T, Failure> {
    let started = crate::platform::now_ms();
    let failure = |status: u16, kind: Option<ErrorKind>, message: String| Failure {
        request: format!("{method} {path}"),
        status,
        kind,
        message,
        findings: Vec::new(),
        at_ms: started,
        took_ms: crate::platform::now_ms() - started,
    };
    // Asking for JSON lets the collector tell a lost session from a page that is opened.
    let builder = RequestBuilder::new(path).method(method.clone()).header("accept", "application/json").abort_signal(abort);
    let request = match body {
        Some(body) => builder.json(body),
        None => builder.build(),
    };
    let response = match request {
        Ok(request) => request.send().await,
        Err(error) => Err(error),
    }
    // The browser does not say more than that it failed.
    .map_err(|_| failure(0, None, t(Frame::NotReached).to_owned()))?;
    let status = response.status();
    if !response.ok() {
        return Err(refusal(response, failure(status, None, String::new())).await);
    }
    let text = response.text().await.map_err(|error| failure(status, None, error.to_string()))?;
    let text = if text.trim().is_empty() { "null" } else { text.as_str() };
    serde_json::from_str(text).map_err(|error| failure(status, None, format!("the answer cannot be read: {error}")))
}

async fn refusal(response: Response, mut failure: Failure) -> Failure {
    let text = response.text().await.unwrap_or_default();
    match serde_json::from_str::<ErrorBody>(&text) {
        Ok(body) => {
            failure.kind = Some(body.error.kind);
            failure.message = body.error.message;
            failure.findings = body.error.findings;
        }
        Err(_) => failure.message = format!("{} {}", response.status(), response.status_text()),
    }
    failure
}

/// Something that is read again and again: the last answer stays while the next is on its way, or fails.
pub struct Feed<T: Send + Sync + 'static> {
    pub value: RwSignal<Option<Arc<T>>>,
    /// Of the last attempt; an answer clears it.
    pub failure: RwSignal<Option<Failure>>,
    pub loading: RwSignal<bool>,
    /// The address whose answer `value` is.
    pub of: RwSignal<Option<String>>,
    flight: StoredValue<Option<Flight>, LocalStorage>,
}

impl<T: Send + Sync + 'static> Clone for Feed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Feed<T> {}

struct Flight {
    path: String,
    abort: AbortController,
}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Feed<T> {
    /// Reads `path` now, after each change of it, and whenever `tick` changes; `None` waits.
    pub fn new(
        path: impl Fn() -> Option<String> + Send + Sync + 'static,
        tick: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let feed = Self {
            value: RwSignal::new(None),
            failure: RwSignal::new(None),
            loading: RwSignal::new(false),
            of: RwSignal::new(None),
            flight: StoredValue::new_local(None),
        };
        let path = Memo::new(move |_| path());
        let ui = Ui::get();
        Effect::new(move |_| {
            tick();
            if let Some(path) = path.get() {
                feed.fetch(path, ui);
            }
        });
        on_cleanup(move || feed.abort());
        feed
    }

    fn abort(self) {
        if let Some(Some(flight)) = self.flight.try_update_value(Option::take) {
            flight.abort.abort();
        }
    }

    /// A slow answer to the same question is waited for; an answer to an older question is not wanted any more.
    fn fetch(self, path: String, ui: Ui) {
        if self.flight.with_value(|flight| flight.as_ref().is_some_and(|f| f.path == path)) {
            return;
        }
        self.abort();
        let Ok(abort) = AbortController::new() else {
            return;
        };
        let signal = abort.signal();
        self.flight.set_value(Some(Flight { path: path.clone(), abort }));
        self.loading.set(true);
        spawn_local(async move {
            let answer = get::<T>(&path, Some(&signal)).await;
            if signal.aborted() {
                return;
            }
            self.flight.try_update_value(Option::take);
            self.settle(path, answer, ui);
        });
    }

    fn settle(self, path: String, answer: Result<T, Failure>, ui: Ui) {
        match answer {
            Ok(value) => {
                // An equal answer must not redraw anything.
                if self.value.try_with_untracked(|old| old.as_deref() != Some(&value)) == Some(true) {
                    self.value.set(Some(Arc::new(value)));
                }
                self.of.try_set(Some(path));
                self.failure.try_set(None);
            }
            Err(failure) => {
                if failure.unauthorized() {
                    ui.lost_session();
                }
                self.failure.try_set(Some(failure));
            }
        }
        self.loading.try_set(false);
    }
}
