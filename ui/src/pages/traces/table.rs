//! The traces, one line each; the reader chooses what the first ones have most of.

use leptos::prelude::*;
use sidelight_api::trace::TraceSummary;

use super::Shown;
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::t;
use crate::i18n::traces::TraceText;
use crate::model::format;
use crate::model::traces::{Column, short_operation, short_service, slowest, sort};
use crate::platform;
use crate::state::Ui;

#[component]
pub fn Table(shown: Memo<Shown>) -> impl IntoView {
    let column = RwSignal::new(Column::Duration);
    let rows = Memo::new(move |_| {
        let mut rows = shown.with(|shown| shown.traces.clone());
        sort(&mut rows, column.get());
        rows
    });
    let longest = Memo::new(move |_| shown.with(|shown| shown.traces.iter().map(|trace| trace.duration_us).max()).unwrap_or(1));
    let p50 = Memo::new(move |_| shown.with(|shown| shown.p50_us));
    // All that a row shows, so that a row is drawn anew exactly when it changes.
    let key = move |trace: &TraceSummary| {
        (trace.trace_id.clone(), trace.duration_us, trace.spans, trace.errors, longest.get(), p50.get())
    };
    view! {
        <section class="card traces-table">
            <table class="table" data-test="traces">
                <thead><tr>
                    <Head column=Column::Started text=TraceText::Started chosen=column/>
                    <th></th><th>{t(TraceText::Operation)}</th>
                    <Head column=Column::Duration text=TraceText::Duration chosen=column/>
                    <th class="num">{t(TraceText::Against)}</th>
                    <Head column=Column::Spans text=TraceText::Spans chosen=column/>
                    <Head column=Column::Services text=TraceText::Services chosen=column/>
                    <Head column=Column::Errors text=TraceText::Errors chosen=column/>
                    <th>{t(TraceText::CriticalPart)}</th><th>{t(TraceText::TraceId)}</th>
                </tr></thead>
                <tbody><For each=move || rows.get() key=key let:trace><Row trace longest=longest.get_untracked() p50=p50.get_untracked()/></For></tbody>
            </table>
        </section>
    }
}

#[component]
fn Head(column: Column, text: TraceText, chosen: RwSignal<Column>) -> impl IntoView {
    let is_number = !matches!(column, Column::Started | Column::Duration);
    let here = move || chosen.get() == column;
    view! {
        <th class:num=is_number aria-sort=move || if here() { "descending" } else { "none" }>
            <button type="button" class="sort" class:here=here on:click=move |_| chosen.set(column)>
                {t(text)}<Show when=here><Glyph icon=Icon::Down size=14/></Show>
            </button>
        </th>
    }
}

#[component]
fn Row(trace: TraceSummary, longest: i64, p50: Option<i64>) -> impl IntoView {
    let ui = Ui::get();
    let address = format!("/traces/{}", trace.trace_id);
    let open = address.clone();
    let started = trace.start_us / 1000;
    let is_failed = trace.errors > 0;
    let width = trace.duration_us as f64 / longest.max(1) as f64 * 100.0;
    let against = p50.filter(|us| *us > 0).map(|us| format!("{:.1} ×", trace.duration_us as f64 / us as f64));
    let critical = slowest(&trace).map(|(most, percent)| (short_service(&most.service).to_owned(), format!(" {percent:.0} %")));
    view! {
        <tr class="row" data-test="trace-row" data-trace=trace.trace_id.clone() on:click=move |_| ui.open(&open)>
            <td class="mono">{format::time_of_day_ms(started, platform::offset_minutes(started))}</td>
            <td class="sign">{is_failed.then(|| view! { <Sign mark=Mark::Failing size=14/> })}</td>
            <td class="operation" title=trace.root.name.clone()><b>{short_service(&trace.root.service).to_owned()}</b>" "{short_operation(&trace.root.name).to_owned()}</td>
            <td class="duration"><span>{format::micros(trace.duration_us)}</span><i class:failed=is_failed style=format!("width:{width:.1}%")></i></td>
            <td class="num">{against}</td>
            <td class="num">{trace.spans}</td>
            <td class="num">{trace.services.len()}</td>
            <td class="num" class:bad=is_failed>{trace.errors}</td>
            <td>{critical.map(|(service, percent)| view! { {service}<span class="remark">{percent}</span> })}</td>
            <td><a class="mono" href=move || ui.link(&address) on:click=|event| event.stop_propagation()>{trace.trace_id.chars().take(16).collect::<String>()}</a></td>
        </tr>
    }
}
