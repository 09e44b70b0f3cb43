//! Each service's part of the critical path.

use leptos::prelude::*;
use sidelight_api::trace::TraceService;

use super::Looking;
use crate::i18n::t;
use crate::i18n::traces::TraceText;
use crate::model::format;
use crate::model::traces::short_service;

#[component]
pub fn TimeWent(looking: Looking) -> impl IntoView {
    let services = Memo::new(move |_| {
        let mut services = looking.trace.with(|trace| trace.summary.services.clone());
        services.sort_by_key(|service| std::cmp::Reverse(service.critical_us));
        services
    });
    view! {
        <section class="time-went" data-test="time-went">
            <header><h2>{t(TraceText::WhereTime)}</h2><span class="remark">{t(TraceText::WhereTimeHint)}</span></header>
            {move || {
                let services = services.get();
                let all: i64 = services.iter().map(|service| service.critical_us).sum();
                services.iter().map(|service| line(service, all)).collect_view()
            }}
        </section>
    }
}

fn line(service: &TraceService, all: i64) -> impl IntoView + use<> {
    let percent = service.critical_us as f64 / all.max(1) as f64 * 100.0;
    view! {
        <div class="went">
            <span title=service.service.clone()>{short_service(&service.service).to_owned()}</span>
            <span class="went-bar"><i style=format!("width:{percent:.1}%")></i></span>
            <span class="num">{format::micros(service.critical_us)}</span><span class="num remark">{format!("{percent:.0} %")}</span>
        </div>
    }
}
