//! The frame: who is looking, which page, and the keys that work everywhere.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::{Redirect, Route, Router, Routes};
use leptos_router::path;
use sidelight_api::session::Session;
use web_sys::KeyboardEvent;

use crate::client::{self, Failure, Feed};
use crate::components::{header::Header, help::Help, rail::Rail, states::Failed};
use crate::i18n::frame::Frame;
use crate::i18n::{self, t};
use crate::pages::{config, graph::GraphPage, login::Login, mesh::MeshPage, trace, traces};
use crate::platform;
use crate::state::{Namespaces, SLOW_EVERY, Step, Ui, first_language};

#[component]
pub fn App() -> impl IntoView {
    i18n::set_language(first_language());
    platform::set_root_attribute("lang", i18n::language().tag());
    view! { <Router><Whole/></Router> }
}

/// Draws everything anew when the language changes, so that texts need not be reactive one by one.
#[component]
fn Whole() -> impl IntoView {
    let ui = Ui::provide();
    let failure = RwSignal::new(None::<Failure>);
    let ask = Callback::new(move |()| ask_session(ui, failure));
    ask.run(());
    listen_to_keys(ui);
    let entered = Memo::new(move |_| ui.session.with(|s| s.as_ref().map(|s| s.logged_in)));
    move || {
        ui.language.track();
        match entered.get() {
            Some(true) => view! { <Pages/> }.into_any(),
            Some(false) => view! { <Login/> }.into_any(),
            None => failure
                .get()
                .map(|failure| view! { <main class="alone"><Failed title=t(Frame::NotReached) failure retry=ask/></main> })
                .into_any(),
        }
    }
}

#[component]
fn Pages() -> impl IntoView {
    let ui = Ui::get();
    Effect::new(move |_| {
        let page = ui.path.with(|path| page_name(path));
        platform::document().set_title(&format!("{} · Sidelight", t(page)));
    });
    let slow_tick = Memo::new(move |_| ui.tick.get() / SLOW_EVERY);
    provide_context(Namespaces(Feed::new(|| Some("/api/namespaces".to_owned()), move || slow_tick.get())));
    view! {
        <a class="skip" href="#page">{t(Frame::Skip)}</a>
        <div class="frame">
            <Rail/>
            <Header/>
            <main id="page" class="page" tabindex="-1">
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=|| view! { <Redirect path="/graph"/> }/>
                    <Route path=path!("/graph") view=GraphPage/>
                    <Route path=path!("/traces") view=traces::TracesPage/>
                    <Route path=path!("/traces/:id") view=trace::TracePage/>
                    <Route path=path!("/mesh") view=MeshPage/>
                    <Route path=path!("/config") view=config::ListPage/>
                    <Route path=path!("/config/new") view=config::NewPage/>
                    <Route path=path!("/config/:kind/:namespace/:name") view=config::ObjectPage/>
                </Routes>
            </main>
        </div>
        <Help/>
    }
}

fn page_name(path: &str) -> Frame {
    match path.split('/').nth(1) {
        Some("traces") => Frame::NavTraces,
        Some("config") => Frame::NavConfig,
        Some("mesh") => Frame::NavMesh,
        _ => Frame::NavGraph,
    }
}

#[component]
fn NotFound() -> impl IntoView {
    let ui = Ui::get();
    view! {
        <div class="notice">
            <h1>{t(Frame::NotFound)}</h1>
            <a class="button primary" href=move || ui.link("/graph")>{t(Frame::ToGraph)}</a>
        </div>
    }
}

fn ask_session(ui: Ui, failure: RwSignal<Option<Failure>>) {
    spawn_local(async move {
        match client::get::<Session>("/api/session", None).await {
            Ok(session) => ui.session.set(Some(session)),
            Err(error) => failure.set(Some(error)),
        }
    });
}

fn listen_to_keys(ui: Ui) {
    let handle = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || platform::typing(&event) {
            return;
        }
        match event.key().as_str() {
            "?" => ui.help.update(|open| *open = !*open),
            "Escape" if ui.help.get_untracked() => ui.help.set(false),
            "/" => platform::focus_element("find"),
            "p" => ui.update(Step::Push, |view| view.paused = !view.paused),
            "d" => ui.toggle_theme(),
            "1" => ui.open("/graph"),
            "2" => ui.open("/traces"),
            "3" => ui.open("/config"),
            "4" => ui.open("/mesh"),
            _ => return,
        }
        event.prevent_default();
    });
    on_cleanup(move || handle.remove());
}
