//! Zipkin's queries: services, names of spans, traces.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::draft::parse_id;
use super::model::ZipkinSpan;
use super::{Refused, ZipkinDoor};
use crate::clock::now_ms;
use crate::store::TraceQuery;

/// Days that a search looks back without being told.
const LOOKBACK_DAYS: i64 = 15;
/// Traces of an answer without being told.
const LIMIT: usize = 10;

#[derive(Deserialize)]
pub(super) struct ServiceParameter {
    #[serde(rename = "serviceName")]
    service: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TraceParameters {
    service_name: Option<String>,
    remote_service_name: Option<String>,
    span_name: Option<String>,
    annotation_query: Option<String>,
    min_duration: Option<i64>,
    max_duration: Option<i64>,
    end_ts: Option<i64>,
    lookback: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn health(State(door): State<ZipkinDoor>) -> (StatusCode, Json<serde_json::Value>) {
    let (status, word) = match door.store.takes_writes() {
        true => (StatusCode::OK, "UP"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
    };
    (status, Json(serde_json::json!({"status": word})))
}

pub(super) async fn services(State(door): State<ZipkinDoor>) -> Result<Json<Vec<String>>, Refused> {
    Ok(Json(door.store.services().await?))
}

pub(super) async fn span_names(
    State(door): State<ZipkinDoor>,
    Query(parameter): Query<ServiceParameter>,
) -> Result<Json<Vec<String>>, Refused> {
    let missing = || Refused::new(StatusCode::BAD_REQUEST, "the parameter serviceName is missing".to_owned());
    let service = parameter.service.filter(|name| !name.is_empty()).ok_or_else(missing)?;
    Ok(Json(door.store.span_names(&service).await?))
}

pub(super) async fn traces(
    State(door): State<ZipkinDoor>,
    Query(parameters): Query<TraceParameters>,
) -> Result<Json<Vec<Vec<ZipkinSpan>>>, Refused> {
    if parameters.max_duration.is_some() && parameters.min_duration.is_none() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "maxDuration needs minDuration".to_owned()));
    }
    let found = door.store.find_traces(&query(parameters, now_ms())).await?;
    Ok(Json(found.traces.into_iter().map(|spans| spans.into_iter().map(ZipkinSpan::from).collect()).collect()))
}

fn query(parameters: TraceParameters, now_ms: i64) -> TraceQuery {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty() && text != "all");
    let end_ms = parameters.end_ts.unwrap_or(now_ms);
    let lookback_ms = parameters.lookback.unwrap_or(LOOKBACK_DAYS * 86_400_000).max(0);
    TraceQuery {
        service: filled(parameters.service_name),
        remote_service: filled(parameters.remote_service_name),
        name: filled(parameters.span_name),
        duration_us_min: parameters.min_duration,
        duration_us_max: parameters.max_duration,
        annotations: filled(parameters.annotation_query).as_deref().map(annotations).unwrap_or_default(),
        from_us: end_ms.saturating_sub(lookback_ms).saturating_mul(1000),
        // The millisecond that was asked for belongs to the answer.
        to_us: end_ms.saturating_add(1).saturating_mul(1000),
        limit: parameters.limit.unwrap_or(LIMIT),
        ..TraceQuery::default()
    }
}

/// `error and http.method=GET`
fn annotations(text: &str) -> Vec<(String, Option<String>)> {
    text.split(" and ")
        .map(str::trim)
        .filter(|term| !term.is_empty())
        .map(|term| match term.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (term.to_owned(), None),
        })
        .collect()
}

pub(super) async fn trace(State(door): State<ZipkinDoor>, Path(id): Path<String>) -> Result<Json<Vec<ZipkinSpan>>, Refused> {
    let bad = || Refused::new(StatusCode::BAD_REQUEST, format!("`{id}` is no trace id: 1 to 32 hexadecimal digits"));
    let trace_id = parse_id::<16>(&id).ok_or_else(bad)?;
    let spans = door.store.trace(trace_id).await?;
    if spans.is_empty() {
        return Err(Refused::new(StatusCode::NOT_FOUND, format!("no trace {id}")));
    }
    Ok(Json(spans.into_iter().map(ZipkinSpan::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_joined_by_and() {
        let terms = annotations("error and http.method=GET and  http.path = /a=b ");
        let expected = [("error", None), ("http.method", Some("GET")), ("http.path", Some("/a=b"))];
        assert_eq!(terms, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }

    #[test]
    fn a_search_looks_back_from_its_end() {
        let asked = TraceParameters { end_ts: Some(10_000), lookback: Some(4_000), ..TraceParameters::default() };
        let query = query(asked, 99);
        assert_eq!((query.from_us, query.to_us, query.limit), (6_000_000, 10_001_000, 10));
    }
}
