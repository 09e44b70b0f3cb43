//! The span that is looked at: what went wrong in words, the request, its logs, and everything as it was sent.

use leptos::prelude::*;
use sidelight_api::logs::LogList;
use sidelight_api::trace::{TraceEvent, TraceSpan, TraceTag};

use super::Looking;
use crate::client::Feed;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::components::states::CopyButton;
use crate::i18n::frame::Frame;
use crate::i18n::traces::TraceText;
use crate::i18n::{fill, t};
use crate::model::codes::flag_text;
use crate::model::format;
use crate::model::traces::short_service;
use crate::model::view::Query;
use crate::model::waterfall::{Fact, callee, facts, flags, path, request_id};
use crate::platform;

/// Lines of a request's logs that the panel shows.
const LOGS_MAX: usize = 12;
/// Logs are looked for this long before and after the trace: clocks differ.
const LOGS_AROUND_MS: i64 = 60_000;

#[component]
pub fn Panel(looking: Looking, place: usize) -> impl IntoView {
    let span = looking.trace.with_untracked(|trace| trace.spans[place].clone());
    let own = looking.waterfall.with_untracked(|waterfall| waterfall.own_us(place));
    let name = callee(&span)
        .map_or_else(|| short_service(&span.service).to_owned(), |callee| format!("{} → {callee}", short_service(&span.service)));
    let line = format!(
        "{} · {} · {}",
        path(&span).unwrap_or(&span.name),
        format::micros(span.duration_us),
        fill(TraceText::Own, &[&format::micros(own)])
    );
    let tag_count = span.tags.len();
    view! {
        <aside class="trace-panel" data-test="panel">
            <header>
                {span.is_error.then(|| view! { <Sign mark=Mark::Failing/> })}<h2>{name}</h2><span class="grow"></span>
                <button type="button" class="plain" aria-label=t(Frame::Close) title=t(Frame::Close) on:click=move |_| looking.choose(None)><Glyph icon=Icon::Close/></button>
            </header>
            <p class="mono wrap">{line}</p>
            {what_went_wrong(&span)}
            <section><h3>{t(TraceText::InWords)}</h3><dl class="facts-list">
                <dt>{t(TraceText::SeenBy)}</dt><dd>{t(side_text(&span.kind))}</dd>
                {facts(&span).into_iter().map(|(fact, value)| view! { <dt>{t(fact_text(fact))}</dt><dd class="wrap">{value}</dd> }).collect_view()}
                {(span.skew_us != 0).then(|| view! { <dt>{t(TraceText::Clock)}</dt><dd>{format::micros(span.skew_us)}</dd> })}
            </dl></section>
            {request_id(&span).map(|id| view! { <Logs looking id=id.to_owned()/> })}
            {events(&span.events, span.start_us)}
            {links(looking, &span)}
            <details><summary>{fill(TraceText::AllTags, &[&tag_count])}</summary>{tag_list(&span.tags)}</details>
            {(!span.resource.is_empty()).then(|| view! { <details><summary>{t(TraceText::OfProcess)}</summary>{tag_list(&span.resource)}</details> })}
        </aside>
    }
}

fn what_went_wrong(span: &TraceSpan) -> impl IntoView + use<> {
    let flags = flags(span).map(str::to_owned);
    let message = Some(span.status_message.clone()).filter(|message| !message.is_empty());
    (flags.is_some() || message.is_some()).then(|| {
        let words = flags.as_deref().map(|flags| t(flag_text(flags)));
        view! { <div class="went-wrong" class:bad-soft=span.is_error><p>{flags.map(|flags| view! { <span class="badge bad">{flags}</span> })}<b>{words}</b></p>{message.map(|message| view! { <p class="wrap">{message}</p> })}</div> }
    })
}

/// What the proxies wrote about the same request.
#[component]
fn Logs(looking: Looking, id: String) -> impl IntoView {
    let address = looking.trace.with_untracked(|trace| {
        let (from, to) = (trace.summary.start_us / 1000, (trace.summary.start_us + trace.summary.duration_us) / 1000);
        let mut query = Query::default();
        query.put("requestId", &id);
        query.put("from", &(from - LOGS_AROUND_MS).to_string());
        query.put("to", &(to + LOGS_AROUND_MS).to_string());
        query.put("limit", &LOGS_MAX.to_string());
        format!("/api/logs{}", query.finish())
    });
    let feed = Feed::<LogList>::new(move || Some(address.clone()), || 0);
    let body = move || match (feed.value.get(), feed.failure.get()) {
        (Some(list), _) if list.lines.is_empty() => view! { <p class="remark">{t(TraceText::NoLogs)}</p> }.into_any(),
        (Some(list), _) => {
            let lines = list.lines.iter().rev().map(|line| {
                let at = line.time_us / 1000;
                let text = |name: &str| line.access.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                let parts = ["response_code", "response_flags", "path"].map(text);
                let words = parts.into_iter().flatten().filter(|word| word != "-").collect::<Vec<_>>().join(" ");
                let words = if words.is_empty() { line.body.clone() } else { words };
                view! { <li><span>{format::time_of_day_ms(at, platform::offset_minutes(at))}</span><b>{line.workload.clone()}</b>{words}</li> }
            });
            view! { <ol class="log-lines">{lines.collect_view()}</ol> }.into_any()
        }
        (None, Some(failure)) => view! { <p class="bad">{failure.message}</p> }.into_any(),
        (None, None) => view! { <span class="bone wide"></span> }.into_any(),
    };
    view! { <section data-test="span-logs"><h3>{t(TraceText::LogsOf)}</h3>{body}</section> }
}

fn events(events: &[TraceEvent], start_us: i64) -> impl IntoView + use<> {
    (!events.is_empty()).then(|| {
        let lines = events.iter().map(|event| {
            let tags = event.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(" ");
            view! { <li><span>{format!("+{}", format::micros(event.at_us - start_us))}</span><b>{event.name.clone()}</b>{tags}</li> }
        });
        view! { <section><h3>{t(TraceText::Events)}</h3><ol class="log-lines">{lines.collect_view()}</ol></section> }
    })
}

fn links(looking: Looking, span: &TraceSpan) -> impl IntoView + use<> {
    (!span.links.is_empty()).then(|| {
        let links = span.links.iter().map(|link| {
            let address = looking.ui.link(&format!("/traces/{}", link.trace_id));
            view! { <li><a class="mono" href=address>{link.trace_id.clone()}</a></li> }
        });
        view! { <section><h3>{t(TraceText::Links)}</h3><ol class="log-lines">{links.collect_view()}</ol></section> }
    })
}

fn tag_list(tags: &[TraceTag]) -> impl IntoView + use<> {
    let rows = tags.iter().map(|tag| {
        view! { <dt>{tag.key.clone()}</dt><dd><code class="wrap">{tag.value.clone()}</code><CopyButton text=tag.value.clone()/></dd> }
    });
    view! { <dl class="tags">{rows.collect_view()}</dl> }
}

fn side_text(kind: &str) -> TraceText {
    match kind {
        "client" => TraceText::SeenClient,
        "server" => TraceText::SeenServer,
        "producer" | "consumer" => TraceText::SeenMessage,
        _ => TraceText::SeenInternal,
    }
}

fn fact_text(fact: Fact) -> TraceText {
    match fact {
        Fact::Answer => TraceText::FactAnswer,
        Fact::Method => TraceText::FactMethod,
        Fact::Path => TraceText::FactPath,
        Fact::Protocol => TraceText::FactProtocol,
        Fact::Route => TraceText::FactRoute,
        Fact::Upstream => TraceText::FactUpstream,
        Fact::Peer => TraceText::FactPeer,
        Fact::Received => TraceText::FactReceived,
        Fact::Sent => TraceText::FactSent,
        Fact::Agent => TraceText::FactAgent,
        Fact::RequestId => TraceText::FactRequestId,
    }
}
