//! `status/…`: what tools ask a Prometheus about itself before they trust it. Versions are those whose API this is.

use axum::extract::State;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Api;
use super::answer::Data;

/// The Prometheus whose semantics the queries have.
const SPEAKS: &str = "2.45.0";

pub(super) async fn config(State(api): State<Api>) -> Data {
    let interval = format!("{}ms", api.scrape_interval.as_millis());
    Data::of(&json!({"yaml": format!("global:\n  scrape_interval: {interval}\n  evaluation_interval: 1m\n")}))
}

pub(super) async fn flags(State(api): State<Api>) -> Data {
    Data::of(&json!({
        "query.lookback-delta": "5m",
        "query.max-concurrency": super::QUERIES_MAX.to_string(),
        "query.timeout": format!("{}s", super::TIMEOUT_MAX.as_secs()),
        "storage.tsdb.retention.time": retention(&api),
    }))
}

fn retention(api: &Api) -> String {
    format!("{}h", api.keeps.as_secs() / 3600)
}

fn text(t_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(t_ms / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

pub(super) async fn runtime(State(api): State<Api>) -> Data {
    Data::of(&json!({
        "startTime": text(api.started_at_ms),
        "serverTime": text(crate::clock::now_ms()),
        "reloadConfigSuccess": true,
        "lastConfigTime": text(api.started_at_ms),
        "corruptionCount": api.store.corrupt_blocks(),
        "storageRetention": retention(&api),
    }))
}

pub(super) async fn build() -> Data {
    let sidelight = concat!("sidelight-", env!("CARGO_PKG_VERSION"));
    Data::of(&json!({"version": SPEAKS, "revision": sidelight, "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}))
}
