//! `status/…`: what tools ask a Prometheus about itself before they trust it. Versions are those whose API this is.

use axum::extract::State;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Api;
use super::answer::Data;
use super::params::Form;
use super::problem::Problem;
use crate::duration;
use crate::store::{Family, StoreError};

/// The Prometheus whose semantics the queries have.
const SPEAKS: &str = "2.45.0";

pub(super) async fn config(State(api): State<Api>) -> Data {
    let (scrapes, evaluates) = (duration::format(api.parts.scrape_interval), duration::format(api.parts.evaluation_interval));
    let mut yaml = format!("global:\n  scrape_interval: {scrapes}\n  evaluation_interval: {evaluates}\n");
    if !api.parts.rule_files.is_empty() {
        yaml.push_str("rule_files:\n");
        for file in &api.parts.rule_files {
            // JSON's strings are YAML's.
            yaml.push_str(&format!("- {}\n", json!(file)));
        }
    }
    Data::of(&json!({"yaml": yaml}))
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
    format!("{}h", api.parts.keeps.as_secs() / 3600)
}

/// A time in RFC 3339; Go's zero time where there is none.
pub(super) fn time_text(t_ms: Option<i64>) -> String {
    let time = t_ms.and_then(|t_ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(t_ms) * 1_000_000).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

pub(super) async fn runtime(State(api): State<Api>) -> Data {
    Data::of(&json!({
        "startTime": time_text(Some(api.started_at_ms)),
        "serverTime": time_text(Some(crate::clock::now_ms())),
        "CWD": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        "reloadConfigSuccess": true,
        "lastConfigTime": time_text(Some(api.started_at_ms)),
        "corruptionCount": api.store.corrupt_blocks(),
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": retention(&api),
    }))
}

pub(super) async fn build() -> Data {
    let sidelight = concat!("sidelight-", env!("CARGO_PKG_VERSION"));
    Data::of(&json!({"version": SPEAKS, "revision": sidelight, "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}))
}

/// Names and labels of each list that are told without a `limit`, as in Prometheus, and at most.
const TOLD: usize = 10;
const TOLD_MAX: usize = 10_000;

/// What there is most of.
pub(super) async fn tsdb(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let limit = form.get("limit").map_or(Ok(TOLD), |text| match text.parse() {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Problem::parameter("limit", "it is a positive number")),
    })?;
    let index = api.store.series_index().await?;
    let counts = tokio::task::spawn_blocking(move || index.cardinality(limit.min(TOLD_MAX))).await;
    let counts = counts.map_err(StoreError::from)?;
    let heads = api.store.block_bytes().await?;
    let bytes = heads.iter().find(|(family, _)| *family == Family::SampleBlock).map_or(0, |(_, bytes)| *bytes);
    let list = |pairs: &[(std::sync::Arc<str>, usize)]| {
        pairs.iter().map(|(name, value)| json!({"name": &**name, "value": value})).collect::<Vec<_>>()
    };
    let now_ms = crate::clock::now_ms();
    let keeps_ms = i64::try_from(api.parts.keeps.as_millis()).unwrap_or(i64::MAX / 4);
    Ok(Data::of(&json!({
        "headStats": {
            "numSeries": counts.series,
            "numLabelPairs": counts.label_pairs,
            "chunkCount": bytes.div_ceil(1 << 20),
            "minTime": api.store.created_at_ms().await?.max(now_ms - keeps_ms),
            "maxTime": now_ms,
        },
        "seriesCountByMetricName": list(&counts.series_by_name),
        "labelValueCountByLabelName": list(&counts.values_by_label),
        "memoryInBytesByLabelName": list(&counts.bytes_by_label),
        "seriesCountByLabelValuePair": list(&counts.series_by_pair),
    })))
}

/// A collector that answers has nothing to replay: its store is open.
pub(super) async fn walreplay() -> Data {
    Data::of(&json!({"min": 0, "max": 0, "current": 0, "state": "done"}))
}
