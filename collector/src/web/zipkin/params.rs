//! The parameters of Zipkin's queries.

use std::collections::HashSet;

use serde::Deserialize;

use super::{Refused, trace_id};
use crate::store::TraceQuery;

/// Milliseconds that a query looks back without being told.
const LOOKBACK_MS: i64 = 15 * 86_400_000;
/// Traces of an answer without being told.
const LIMIT: usize = 10;
/// Traces that are asked for by their ids at once.
const TRACE_IDS_MAX: usize = 100;

#[derive(Deserialize)]
pub(super) struct OfService {
    #[serde(rename = "serviceName")]
    service: Option<String>,
}

impl OfService {
    pub fn service(self) -> Result<String, Refused> {
        required("serviceName", self.service)
    }
}

#[derive(Deserialize)]
pub(super) struct ValuesOf {
    key: Option<String>,
}

impl ValuesOf {
    pub fn key(self) -> Result<String, Refused> {
        required("key", self.key)
    }
}

fn required(name: &str, value: Option<String>) -> Result<String, Refused> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Refused::bad(format!("the parameter {name} is missing")))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Traces {
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

impl Traces {
    pub fn query(self, now_ms: i64) -> Result<TraceQuery, Refused> {
        match (self.min_duration, self.max_duration) {
            (None, Some(_)) => return Err(Refused::bad("maxDuration needs minDuration")),
            (Some(min), Some(max)) if max < min => return Err(Refused::bad("maxDuration is less than minDuration")),
            _ => {}
        }
        if self.limit == Some(0) {
            return Err(Refused::bad("limit must be greater than 0"));
        }
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty() && text != "all");
        let end_ms = self.end_ts.unwrap_or(now_ms);
        let lookback_ms = self.lookback.unwrap_or(LOOKBACK_MS).max(0);
        Ok(TraceQuery {
            service: filled(self.service_name),
            remote_service: filled(self.remote_service_name),
            name: filled(self.span_name),
            duration_us_min: self.min_duration,
            duration_us_max: self.max_duration,
            annotations: filled(self.annotation_query).as_deref().map(annotations).unwrap_or_default(),
            from_us: end_ms.saturating_sub(lookback_ms).saturating_mul(1000),
            // The millisecond that was asked for belongs to the answer.
            to_us: end_ms.saturating_add(1).saturating_mul(1000),
            limit: self.limit.unwrap_or(LIMIT),
            ..TraceQuery::default()
        })
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

#[derive(Deserialize)]
pub(super) struct TraceIds {
    #[serde(rename = "traceIds")]
    ids: Option<String>,
}

impl TraceIds {
    pub fn ids(self) -> Result<Vec<[u8; 16]>, Refused> {
        let text = required("traceIds", self.ids)?;
        let ids = text.split(',').take(TRACE_IDS_MAX + 1).map(|id| trace_id(id.trim())).collect::<Result<Vec<_>, _>>()?;
        let distinct: HashSet<&[u8; 16]> = ids.iter().collect();
        match ids.len() {
            0 | 1 => Err(Refused::bad("traceIds has fewer than two ids")),
            count if count > TRACE_IDS_MAX => Err(Refused::bad(format!("traceIds has more than {TRACE_IDS_MAX} ids"))),
            count if count != distinct.len() => Err(Refused::bad("traceIds has an id twice")),
            _ => Ok(ids),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependencies {
    end_ts: Option<i64>,
    lookback: Option<i64>,
}

impl Dependencies {
    /// In milliseconds, its end last.
    pub fn window(self) -> Result<(i64, i64), Refused> {
        let end_ms = self.end_ts.ok_or_else(|| Refused::bad("the parameter endTs is missing"))?;
        match (end_ms, self.lookback.unwrap_or(LOOKBACK_MS)) {
            (..=0, _) => Err(Refused::bad("endTs must be greater than 0")),
            (_, ..=0) => Err(Refused::bad("lookback must be greater than 0")),
            (end_ms, lookback_ms) => Ok((end_ms.saturating_sub(lookback_ms), end_ms)),
        }
    }
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
        let asked = Traces { end_ts: Some(10_000), lookback: Some(4_000), ..Traces::default() };
        let query = asked.query(99).unwrap();
        assert_eq!((query.from_us, query.to_us, query.limit), (6_000_000, 10_001_000, 10));
    }

    #[test]
    fn several_traces_are_at_least_two() {
        let ids = |text: &str| TraceIds { ids: Some(text.to_owned()) }.ids().map_err(|Refused(_, text)| text);
        assert_eq!(ids("1,2").unwrap().len(), 2);
        assert_eq!(ids("1").unwrap_err(), "traceIds has fewer than two ids");
        assert_eq!(ids("1,01").unwrap_err(), "traceIds has an id twice");
        assert_eq!(ids("1,x").unwrap_err(), "`x` is no trace id: 1 to 32 hexadecimal digits");
        assert_eq!(ids("").unwrap_err(), "the parameter traceIds is missing");
    }
}
