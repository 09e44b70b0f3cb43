//! Asks for the access token.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sidelight_api::session::{LoginRequest, Session};
use web_sys::SubmitEvent;

use crate::client::{self, Failure};
use crate::components::icons::{Lantern, Mark, Sign};
use crate::i18n::frame::Frame;
use crate::i18n::t;
use crate::platform;
use crate::state::Ui;

#[component]
pub fn Login() -> impl IntoView {
    let ui = Ui::get();
    let token = RwSignal::new(String::new());
    let problem = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        spawn_local(async move {
            match log_in(token.get_untracked()).await {
                Ok(session) => ui.session.set(Some(session)),
                Err(failure) if failure.unauthorized() => problem.set(Some(t(Frame::LogInWrong).to_owned())),
                Err(failure) => problem.set(Some(failure.message)),
            }
            busy.set(false);
        });
    };
    Effect::new(|_| platform::focus_element("token"));
    view! {
        <main class="alone">
            <form class="login" on:submit=submit data-test="login">
                <Lantern size=44/>
                <h1>{t(Frame::LogInTitle)}</h1>
                <p>{t(Frame::LogInHint)}</p>
                <label for="token">{t(Frame::Token)}</label>
                <input id="token" type="password" autocomplete="current-password" required prop:value=move || token.get()
                    on:input=move |event| token.set(event_target_value(&event)) aria-describedby="problem"/>
                <p id="problem" class="problem" role="alert">
                    {move || problem.get().map(|text| view! { <Sign mark=Mark::Failing size=14/>{text} })}
                </p>
                <button class="button primary" type="submit" disabled=move || busy.get()>{t(Frame::LogIn)}</button>
            </form>
        </main>
    }
}

/// The answer to the log-in sets the cookie; who that is, is asked afterwards.
async fn log_in(token: String) -> Result<Session, Failure> {
    client::send::<_, serde_json::Value>(Method::POST, "/api/login", &LoginRequest { token }).await?;
    client::get("/api/session", None).await
}
