//! What shapes, colours and lines mean.

use leptos::prelude::*;

use super::board::Board;
use super::cards::{kind_icon, kind_text};
use crate::components::icons::{Glyph, Icon, Mark, Sign};
use crate::i18n::graph::GraphText;
use crate::i18n::t;
use crate::model::scene::Kind;

const KINDS: [Kind; 6] = [Kind::App, Kind::Workload, Kind::Service, Kind::Gateway, Kind::External, Kind::Unknown];

#[component]
pub fn Legend(board: Board) -> impl IntoView {
    view! {
        <Show when=move || board.legend_open.get()>
            <section class="legend" aria-label=t(GraphText::Legend)>
                <header><h2>{t(GraphText::Legend)}</h2><span class="remark">{t(GraphText::LegendZoom)}</span></header>
                <ul>{KINDS.map(|kind| view! { <li><Glyph icon=kind_icon(kind) size=14/>{t(kind_text(kind))}</li> }).collect_view()}</ul>
                <ul>
                    <li><i class="swatch healthy"></i>{t(GraphText::LegendHealthy)}</li>
                    <li><i class="swatch degraded"></i><Sign mark=Mark::Degraded size=14/>{t(GraphText::LegendDegraded)}</li>
                    <li><i class="swatch failing"></i><Sign mark=Mark::Failing size=14/>{t(GraphText::LegendFailing)}</li>
                    <li><i class="swatch idle"></i>{t(GraphText::LegendIdle)}</li>
                </ul>
                <ul>
                    <li>{line("http")}{t(GraphText::LegendHttp)}</li>
                    <li>{line("tcp")}{t(GraphText::LegendTcp)}</li>
                    <li><i class="moving-dot"></i>{t(GraphText::LegendDot)}</li>
                    <li><i class="moving-diamond"></i>{t(GraphText::LegendBadDot)}</li>
                    <li><Glyph icon=Icon::Lock size=14/>{t(GraphText::LegendLock)}</li>
                </ul>
            </section>
        </Show>
    }
}

fn line(class: &'static str) -> impl IntoView {
    view! { <svg class=format!("legend-line {class}") width="28" height="10" aria-hidden="true"><path d="M1 5H20" /><path class="tip" d="M27 5L19 1.6V8.4Z"/></svg> }
}
