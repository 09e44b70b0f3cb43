//! What all pages share: the view in the address, the session, colours, the beat of the refresh.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_location, use_navigate, use_query_map};
use sidelight_api::graph::Namespace;
use sidelight_api::session::Session;

use crate::client::Feed;
use crate::i18n::{self, Language};
use crate::model::view::View;
use crate::platform;

const THEME_KEY: &str = "sidelight.theme";
const LANGUAGE_KEY: &str = "sidelight.language";

/// What changes slowly (namespaces, objects) is read with every n-th refresh.
pub const SLOW_EVERY: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

impl Theme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Whether a change of the view is a step that "back" undoes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A choice.
    Push,
    /// Part of a movement: typing, dragging.
    Replace,
}

type Navigate = Box<dyn Fn(&str, NavigateOptions)>;

/// Handle to the shared state; cheap to copy.
#[derive(Clone, Copy)]
pub struct Ui {
    pub view: Memo<View>,
    pub path: Memo<String>,
    pub session: RwSignal<Option<Session>>,
    pub theme: RwSignal<Theme>,
    pub language: RwSignal<Language>,
    /// Grows with each refresh that is due.
    pub tick: RwSignal<u64>,
    pub now_ms: RwSignal<i64>,
    pub help: RwSignal<bool>,
    /// Unix milliseconds of the newest telemetry that the page shows; pages set it, the header shows its age.
    pub last_sample_ms: RwSignal<Option<i64>>,
    /// How many things the find text hits on this page; `None` where it finds nothing to search in.
    pub found: RwSignal<Option<usize>>,
    navigate: StoredValue<Navigate, LocalStorage>,
}

impl Ui {
    /// Must be called inside the router.
    pub fn provide() -> Self {
        let query = use_query_map();
        let location = use_location();
        let navigate = use_navigate();
        let ui = Self {
            view: Memo::new(move |_| query.with(|map| View::read(|key| map.get(key)))),
            path: Memo::new(move |_| location.pathname.get()),
            session: RwSignal::new(None),
            theme: RwSignal::new(first_theme()),
            language: RwSignal::new(i18n::language()),
            tick: RwSignal::new(0),
            now_ms: RwSignal::new(platform::now_ms()),
            help: RwSignal::new(false),
            last_sample_ms: RwSignal::new(None),
            found: RwSignal::new(None),
            navigate: StoredValue::new_local(Box::new(navigate)),
        };
        provide_context(ui);
        ui.keep_time();
        ui
    }

    pub fn get() -> Self {
        expect_context::<Self>()
    }

    /// The clock beats every second; a refresh is due when the chosen interval has gone by and somebody looks.
    fn keep_time(self) {
        let refreshed_ms = StoredValue::new(platform::now_ms());
        platform::every(Duration::from_secs(1), move || {
            let now = platform::now_ms();
            self.now_ms.set(now);
            let view = self.view.get_untracked();
            let due = now - refreshed_ms.get_value() >= view.refresh_s as i64 * 1000 - 50;
            if due && view.live() && !platform::page_hidden() {
                refreshed_ms.set_value(now);
                self.tick.update(|tick| *tick += 1);
            }
        });
    }

    /// A whole round, so that what is read with every n-th refresh is read too.
    pub fn refresh_now(self) {
        self.tick.update(|tick| *tick += SLOW_EVERY);
    }

    /// Changes the view by changing the address.
    pub fn update(self, step: Step, change: impl FnOnce(&mut View)) {
        let old = self.view.get_untracked();
        let mut view = old.clone();
        change(&mut view);
        if view != old {
            self.go(&format!("{}{}", self.path.get_untracked(), view.query()), step);
        }
    }

    /// Opens another page, taking along where and when.
    pub fn open(self, path: &str) {
        self.go(&self.link(path), Step::Push);
    }

    pub fn link(self, path: &str) -> String {
        format!("{path}{}", self.view.with(View::shared_query))
    }

    pub fn go(self, address: &str, step: Step) {
        let options =
            NavigateOptions { resolve: false, replace: step == Step::Replace, scroll: false, ..NavigateOptions::default() };
        self.navigate.with_value(|navigate| navigate(address, options));
    }

    pub fn set_theme(self, theme: Theme) {
        self.theme.set(theme);
        platform::set_root_attribute("data-theme", theme.as_str());
        platform::store(THEME_KEY, theme.as_str());
    }

    pub fn toggle_theme(self) {
        self.set_theme(match self.theme.get_untracked() {
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::Light,
        });
    }

    pub fn set_language(self, language: Language) {
        platform::store(LANGUAGE_KEY, language.tag());
        platform::set_root_attribute("lang", language.tag());
        i18n::set_language(language);
        self.language.set(language);
    }

    pub fn lost_session(self) {
        self.session.update(|session| {
            if let Some(session) = session {
                session.logged_in = false;
            }
        });
    }
}

/// The namespaces there are; shared by the header and the pages.
#[derive(Clone, Copy)]
pub struct Namespaces(pub Feed<Vec<Namespace>>);

impl Namespaces {
    pub fn get() -> Self {
        expect_context::<Self>()
    }

    pub fn names(self) -> Vec<String> {
        self.0.value.with(|list| list.iter().flat_map(|list| list.iter()).map(|n| n.name.clone()).collect())
    }

    /// What a request must name: the chosen ones, or all that exist; `None` while that is not known.
    pub fn wanted(self, view: &View) -> Option<Vec<String>> {
        if !view.namespaces.is_empty() {
            return Some(view.namespaces.clone());
        }
        self.0.value.with(Option::is_some).then(|| self.names())
    }
}

fn first_theme() -> Theme {
    let stored = platform::stored(THEME_KEY);
    match stored.as_deref() {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ if platform::media_matches("(prefers-color-scheme: dark)") => Theme::Dark,
        _ => Theme::Light,
    }
}

/// The reader's last choice, else the browser's language.
pub fn first_language() -> Language {
    platform::stored(LANGUAGE_KEY).or_else(platform::browser_language).and_then(|tag| Language::parse(&tag)).unwrap_or_default()
}
