//! The strip of facts over a trace.

use leptos::prelude::*;
use sidelight_api::trace::{TraceOddity, TraceSummary};

use super::Looking;
use crate::components::icons::{Mark, Sign};
use crate::i18n::traces::TraceText;
use crate::i18n::{fill, t};
use crate::model::format;
use crate::model::traces::{short_service, slowest};
use crate::platform;

#[component]
pub fn Facts(looking: Looking) -> impl IntoView {
    let summary = Memo::new(move |_| looking.trace.with(|trace| trace.summary.clone()));
    move || {
        let summary = summary.get();
        let started = summary.start_us / 1000;
        let critical = slowest(&summary);
        let (name, part) = critical.map_or((String::new(), String::new()), |(most, percent)| {
            let words = fill(TraceText::PartOfTrace, &[&format::micros(most.critical_us), &format!("{percent:.0}")]);
            (short_service(&most.service).to_owned(), words)
        });
        view! {
            <dl class="trace-facts card">
                <div><dt>{t(TraceText::Started)}</dt><dd>{format::time_of_day_ms(started, platform::offset_minutes(started))}</dd>
                    <dd class="remark">{move || fill(TraceText::Ago, &[&format::age(looking.ui.now_ms.get() - started)])}</dd></div>
                <div><dt>{t(TraceText::Duration)}</dt><dd>{format::micros(summary.duration_us)}</dd><dd class="remark">{short_service(&summary.root.service).to_owned()}</dd></div>
                <div><dt>{t(TraceText::Spans)}</dt><dd>{format::group(summary.spans)}</dd><dd class="remark">{fill(TraceText::InServices, &[&summary.services.len()])}</dd></div>
                <div>{errors(&summary)}</div>
                <div><dt>{t(TraceText::CriticalPath)}</dt><dd>{name}</dd><dd class="remark">{part}</dd></div>
                <div>{oddities(&summary)}</div>
            </dl>
        }
    }
}

fn errors(summary: &TraceSummary) -> impl IntoView + use<> {
    let by_service = summary.services.iter().filter(|service| service.errors > 0);
    let words: Vec<String> =
        by_service.map(|service| format!("{} × {}", short_service(&service.service), service.errors)).collect();
    let words = if words.is_empty() { t(TraceText::NoErrors).to_owned() } else { words.join(" · ") };
    view! {
        <dt>{t(TraceText::Errors)}</dt>
        <dd>{(summary.errors > 0).then(|| view! { <Sign mark=Mark::Failing/> })}{summary.errors}</dd>
        <dd class="remark" title=words.clone()>{words.clone()}</dd>
    }
}

fn oddities(summary: &TraceSummary) -> impl IntoView + use<> {
    let words: Vec<&str> = summary.oddities.iter().map(|oddity| t(oddity_text(*oddity))).collect();
    let words = if words.is_empty() { t(TraceText::OddNone).to_owned() } else { words.join(" · ") };
    view! {
        <dt>{t(TraceText::Oddities)}</dt>
        <dd>{(!summary.oddities.is_empty()).then(|| view! { <Sign mark=Mark::Degraded/> })}{summary.oddities.len()}</dd>
        <dd class="remark" title=words.clone()>{words.clone()}</dd>
    }
}

fn oddity_text(oddity: TraceOddity) -> TraceText {
    match oddity {
        TraceOddity::MissingRoot => TraceText::OddMissingRoot,
        TraceOddity::SeveralRoots => TraceText::OddSeveralRoots,
        TraceOddity::MissingParent => TraceText::OddMissingParent,
        TraceOddity::Cycle => TraceText::OddCycle,
        TraceOddity::DuplicateId => TraceText::OddDuplicateId,
        TraceOddity::ClockSkew => TraceText::OddClockSkew,
        TraceOddity::OutlivesRoot => TraceText::OddOutlivesRoot,
        TraceOddity::Cut => TraceText::OddCut,
    }
}
