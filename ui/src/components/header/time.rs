//! Which stretch of time, and whether the page follows the clock.

use leptos::prelude::*;

use crate::components::icons::{Glyph, Icon};
use crate::components::menu::{Menu, Side};
use crate::i18n::frame::Frame;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::model::view::{REFRESHES_S, WINDOWS_S};
use crate::platform;
use crate::state::{Step, Ui};

/// Telemetry older than this many refreshes is called old.
const OLD_AFTER_MS: i64 = 45_000;

pub fn window_words(seconds: u64) -> String {
    match seconds {
        86_400 => t(Frame::LastDay).to_owned(),
        s if s >= 3600 && s.is_multiple_of(3600) => fill(Frame::LastHours, &[&(s / 3600)]),
        s if s < 60 => fill(Frame::LastSeconds, &[&s]),
        s => fill(Frame::LastMinutes, &[&(s / 60)]),
    }
}

#[component]
pub fn WindowMenu() -> impl IntoView {
    let ui = Ui::get();
    let label = move || {
        let (window_s, until) = ui.view.with(|view| (view.window_s, view.query_time));
        match until {
            Some(at) => fill(
                Frame::Until,
                &[&window_words(window_s), &format::time_of_day(at * 1000, platform::offset_minutes(at * 1000))],
            ),
            None => window_words(window_s),
        }
    };
    let button = move || view! { <Glyph icon=Icon::Clock/><span class="label">{label}</span><Glyph icon=Icon::Down/> };
    view! {
        <Menu name=t(Frame::TimeWindow).to_owned() side=Side::Right test="window" button=ViewFn::from(button)>
            {WINDOWS_S.map(|seconds| {
                let on = move || ui.view.with(|view| view.window_s == seconds);
                view! {
                    <button type="button" class="choice" role="menuitemradio" aria-checked=move || on().to_string()
                        on:click=move |_| ui.update(Step::Push, |view| view.window_s = seconds)>
                        <span class="dot" class:on=on></span><span>{window_words(seconds)}</span>
                    </button>
                }
            }).collect_view()}
            {move || ui.view.with(|view| view.query_time.is_some()).then(|| view! {
                <hr/>
                <button type="button" class="choice" on:click=move |_| ui.update(Step::Push, |view| view.query_time = None)>
                    <Glyph icon=Icon::Undo/><span>{t(Frame::BackToLive)}</span>
                </button>
            })}
        </Menu>
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Live,
    Paused,
    Past,
    Old(i64),
}

#[component]
pub fn LiveControl() -> impl IntoView {
    let ui = Ui::get();
    let pace = Memo::new(move |_| {
        let view = ui.view.get();
        let age_ms = ui.last_sample_ms.get().map(|at| ui.now_ms.get() - at);
        match age_ms {
            _ if view.query_time.is_some() => Pace::Past,
            _ if view.paused => Pace::Paused,
            // Whole tens of seconds, so that the button does not redraw each second.
            Some(age) if age > OLD_AFTER_MS => Pace::Old(age / 10_000 * 10_000),
            _ => Pace::Live,
        }
    });
    let class = move || match pace.get() {
        Pace::Live => "control live",
        Pace::Old(_) => "control live old",
        Pace::Paused | Pace::Past => "control live halted",
    };
    let word = move || match pace.get() {
        Pace::Live => t(Frame::Live).to_owned(),
        Pace::Paused => t(Frame::Paused).to_owned(),
        Pace::Past => t(Frame::Past).to_owned(),
        Pace::Old(age) => fill(Frame::Old, &[&format::age(age).to_uppercase()]),
    };
    let halted = move || matches!(pace.get(), Pace::Paused | Pace::Past);
    let toggle = move |_| {
        ui.update(Step::Push, |view| {
            let live = view.live();
            view.paused = live;
            view.query_time = None;
        });
        ui.refresh_now();
    };
    let name = move || t(if halted() { Frame::Resume } else { Frame::Pause });
    view! {
        <div class=class data-test="live">
            <Menu name=t(Frame::RefreshEvery).to_owned() side=Side::Right class="inner" button=ViewFn::from(move || view! { <span class="lamp"></span><b>{word}</b> })>
                <Intervals/>
            </Menu>
            <button type="button" class="inner toggle" title=name aria-label=name data-test="pause" on:click=toggle>
                {move || view! { <Glyph icon=if halted() { Icon::Play } else { Icon::Pause } size=14/> }}
            </button>
        </div>
    }
}

#[component]
fn Intervals() -> impl IntoView {
    let ui = Ui::get();
    view! {
        <p class="head">{t(Frame::RefreshEvery)}</p>
        {REFRESHES_S.map(|seconds| {
            let on = move || ui.view.with(|view| view.refresh_s == seconds);
            view! {
                <button type="button" class="choice" role="menuitemradio" aria-checked=move || on().to_string()
                    on:click=move |_| ui.update(Step::Push, |view| view.refresh_s = seconds)>
                    <span class="dot" class:on=on></span><span>{fill(Frame::Seconds, &[&seconds])}</span>
                </button>
            }
        }).collect_view()}
        <hr/>
        <button type="button" class="choice" on:click=move |_| ui.refresh_now()><Glyph icon=Icon::Refresh/><span>{t(Frame::RefreshNow)}</span></button>
    }
}
