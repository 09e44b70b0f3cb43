//! How far a configuration has come: as a bar in a list, as squares after a save.

use leptos::prelude::*;
use sidelight_api::config::Rollout;

use crate::components::icons::{Mark, Sign};
use crate::i18n::config::ConfigText;
use crate::i18n::{fill, t};
use crate::model::config::{Progress, progress};

/// More proxies than this are drawn as a bar instead of one square each.
const SQUARES_MAX: u32 = 40;

#[component]
pub fn RolloutBar(rollout: Rollout) -> impl IntoView {
    let share = |part: u32| format!("width:{:.1}%", f64::from(part) * 100.0 / f64::from(rollout.proxies.max(1)));
    let whole = progress(&rollout) == Progress::Everywhere;
    (rollout.proxies > 0).then(|| view! {
        <span class="rollout" title=words(&rollout)>
            <span class="share"><i class="applied" style=share(rollout.applied)></i><i class="refused" style=share(rollout.refused)></i></span>
            <span class:strong=!whole>{rollout.applied}"/"{rollout.proxies}</span>
        </span>
    })
}

/// The strip over the references until every proxy runs what was saved.
#[component]
pub fn RolloutStrip(rollout: Rollout, #[prop(into)] error: Signal<Option<String>>) -> impl IntoView {
    let (class, mark) = match progress(&rollout) {
        Progress::Everywhere | Progress::Nowhere => ("strip ok", Mark::Fine),
        Progress::Waiting => ("strip warn", Mark::Degraded),
        Progress::Refused => ("strip bad", Mark::Failing),
    };
    let squares = (rollout.proxies <= SQUARES_MAX).then(|| {
        let states = [("applied", rollout.applied), ("waiting", rollout.waiting), ("refused", rollout.refused)];
        states.into_iter().flat_map(|(class, count)| (0..count).map(move |_| view! { <i class=class></i> })).collect_view()
    });
    view! {
        <div class=class role="status" data-test="rollout" data-applied=rollout.applied data-proxies=rollout.proxies>
            <Sign mark size=18/><b>{words(&rollout)}</b><span class="squares" aria-hidden="true">{squares}</span>
            {move || error.get().map(|error| view! { <code class="refusal">{error}</code> })}
        </div>
    }
}

fn words(rollout: &Rollout) -> String {
    match progress(rollout) {
        Progress::Nowhere => t(ConfigText::NoProxies).to_owned(),
        Progress::Everywhere => fill(ConfigText::AppliedAll, &[&rollout.proxies]),
        Progress::Waiting | Progress::Refused => {
            let mut parts = vec![fill(ConfigText::AppliedSome, &[&rollout.applied, &rollout.proxies])];
            if rollout.waiting > 0 {
                parts.push(fill(ConfigText::WaitingFor, &[&rollout.waiting]));
            }
            if rollout.refused > 0 {
                parts.push(fill(ConfigText::RefusedBy, &[&rollout.refused]));
            }
            parts.join(", ")
        }
    }
}
