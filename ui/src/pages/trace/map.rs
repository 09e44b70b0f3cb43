//! The whole trace in a strip: a stretch that is drawn in it is what the waterfall shows.

use leptos::html;
use leptos::prelude::*;
use web_sys::PointerEvent;

use super::Looking;
use crate::components::size::watch_size;
use crate::i18n::t;
use crate::i18n::traces::TraceText;

const HEIGHT: f64 = 52.0;
/// A press that moves less than this is a click, which chooses nothing.
const DRAG_MIN: f64 = 4.0;

#[component]
pub fn Map(looking: Looking) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let width = RwSignal::new(1000.0);
    watch_size(root, move |now, _| width.set(now.max(100.0)));
    let drag = RwSignal::new(None::<(f64, f64)>);
    let x = move |event: &PointerEvent| {
        let left = root.get_untracked().map_or(0.0, |element| element.get_bounding_client_rect().x());
        (f64::from(event.client_x()) - left).clamp(0.0, width.get_untracked())
    };
    let on_down = move |event: PointerEvent| {
        if let Some(element) = root.get_untracked() {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
        drag.set(Some((x(&event), x(&event))));
    };
    let on_move = move |event: PointerEvent| {
        let to = x(&event);
        drag.update(|drag| {
            if let Some(drag) = drag {
                drag.1 = to;
            }
        });
    };
    let on_up = move |_| {
        let Some((a, b)) = drag.get_untracked() else { return };
        drag.set(None);
        if (a - b).abs() >= DRAG_MIN {
            let (from, to) = looking.waterfall.with_untracked(|waterfall| (waterfall.from_us, waterfall.to_us));
            let at = |x: f64| from + ((to - from) as f64 * x / width.get_untracked()) as i64;
            looking.zoom.set(Some((at(a.min(b)), at(a.max(b)).max(at(a.min(b)) + 1))));
        }
    };
    let outside = move || {
        let (from, to) = looking.waterfall.with(|waterfall| (waterfall.from_us, waterfall.to_us));
        let part = |us: i64| (us - from) as f64 / (to - from).max(1) as f64 * width.get();
        match (drag.get(), looking.zoom.get()) {
            (Some((a, b)), _) => Some((a.min(b), a.max(b))),
            (None, Some((a, b))) => Some((part(a), part(b))),
            (None, None) => None,
        }
    };
    view! {
        <div class="trace-map" node_ref=root title=t(TraceText::Map) data-test="trace-map" on:pointerdown=on_down on:pointermove=on_move on:pointerup=on_up
            on:pointercancel=move |_| drag.set(None) on:dblclick=move |_| looking.zoom.set(None)>
            <svg width=move || width.get() height=HEIGHT aria-hidden="true">
                {move || lines(looking, width.get())}
                {move || outside().map(|(a, b)| view! {
                    <rect class="outside" x="0" y="0" width=a height=HEIGHT/>
                    <rect class="outside" x=b y="0" width=(width.get() - b).max(0.0) height=HEIGHT/>
                })}
            </svg>
        </div>
    }
}

/// One path for the good spans and one for the failed: a long trace must not become ten thousand elements.
fn lines(looking: Looking, width: f64) -> impl IntoView + use<> {
    use std::fmt::Write;
    let (mut good, mut failed) = (String::new(), String::new());
    looking.trace.with(|trace| {
        let (from, length) = (trace.summary.start_us, trace.summary.duration_us.max(1) as f64);
        let pitch = ((HEIGHT - 8.0) / trace.spans.len().max(1) as f64).min(4.0);
        for (row, span) in trace.spans.iter().enumerate() {
            let left = (span.start_us - from) as f64 / length * width;
            let long = (span.duration_us as f64 / length * width).max(1.0);
            let path = if span.is_error { &mut failed } else { &mut good };
            let _ = write!(path, "M{left:.1} {:.1}h{long:.1}", 5.0 + row as f64 * pitch);
        }
    });
    view! { <path class="map-good" d=good/><path class="map-failed" d=failed/> }
}
