//! What API v3 is asked and answers: OTLP's traces, under names of its own.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::duration::parse_ns;
use super::search::{BadQuestion, LIMIT_MAX};
use super::shared;
use crate::export::otlp;
use crate::query::params::Params;
use crate::store::{Span, TraceQuery};

/// Traces of an answer without being told.
pub const DEPTH: usize = 100;

/// Spans of one trace as OTLP's; `raw` leaves shared spans as they are stored.
#[must_use]
pub fn traces_data(spans: Vec<Span>, raw: bool) -> TracesData {
    let spans = if raw { shared::as_stored(spans) } else { shared::apart(spans) };
    TracesData { resource_spans: otlp::request(spans).resource_spans }
}

/// Reads a search over HTTP, and whether the traces are wanted as they are stored.
///
/// # Errors
/// When a parameter cannot be read, or the time is not told.
pub fn search(params: &Params) -> Result<(TraceQuery, bool), BadQuestion> {
    let get = |snake: &str, camel: &str| params.filled(snake).or_else(|| params.filled(camel));
    let (min, max) = (get("query.start_time_min", "query.startTimeMin"), get("query.start_time_max", "query.startTimeMax"));
    let (Some(min), Some(max)) = (min, max) else {
        return Err(BadQuestion("query.start_time_min and query.start_time_max are required".to_owned()));
    };
    let (min_ns, max_ns) = (time_ns("query.start_time_min", min)?, time_ns("query.start_time_max", max)?);
    let depth = ["query.num_traces", "query.search_depth", "query.numTraces", "query.searchDepth"];
    let depth = depth.into_iter().find_map(|name| params.filled(name));
    let attributes = params.filled("query.attributes").map(attributes).transpose()?.unwrap_or_default();
    let duration = |snake: &str, camel: &str| -> Result<Option<i64>, BadQuestion> {
        let ns = get(snake, camel).map(parse_ns).transpose().map_err(|error| malformed(snake, error))?;
        Ok(ns.map(|ns| ns / 1000).filter(|us| *us != 0))
    };
    let query = TraceQuery {
        service: get("query.service_name", "query.serviceName").map(str::to_owned),
        name: get("query.operation_name", "query.operationName").map(str::to_owned),
        duration_us_min: duration("query.duration_min", "query.durationMin")?,
        duration_us_max: duration("query.duration_max", "query.durationMax")?,
        annotations: attributes.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        from_us: min_ns.div_euclid(1000),
        to_us: max_ns.div_euclid(1000),
        limit: depth.map_or(Ok(DEPTH), read_depth)?,
        ..TraceQuery::default()
    };
    let raw = get("query.raw_traces", "query.rawTraces").map_or(Ok(false), |text| flag("query.raw_traces", text))?;
    Ok((query, raw))
}

/// Reads what a trace is asked for besides its id.
///
/// # Errors
/// When a parameter cannot be read.
pub fn raw(params: &Params) -> Result<bool, BadQuestion> {
    for name in ["start_time", "end_time"] {
        params.filled(name).map(|text| time_ns(name, text)).transpose()?;
    }
    params.filled("raw_traces").map_or(Ok(false), |text| flag("raw_traces", text))
}

pub fn malformed(name: &str, why: impl std::fmt::Display) -> BadQuestion {
    BadQuestion(format!("malformed parameter {name}: {why}"))
}

fn time_ns(name: &str, text: &str) -> Result<i64, BadQuestion> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| malformed(name, error))?;
    i64::try_from(time.unix_timestamp_nanos()).map_err(|_| malformed(name, "the year is out of range"))
}

fn read_depth(text: &str) -> Result<usize, BadQuestion> {
    let depth = text.parse::<i32>().ok().and_then(|depth| usize::try_from(depth).ok()).filter(|depth| *depth > 0);
    depth.map(|depth| depth.min(LIMIT_MAX)).ok_or_else(|| malformed("query.num_traces", format!("{text:?} is no count")))
}

fn attributes(text: &str) -> Result<BTreeMap<String, String>, BadQuestion> {
    serde_json::from_str(text).map_err(|error| malformed("query.attributes", error))
}

fn flag(name: &str, text: &str) -> Result<bool, BadQuestion> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(malformed(name, format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(TraceQuery, bool), String> {
        search(&Params::parse(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn both_spellings_of_a_search_are_read() {
        let snake = "query.service_name=cart&query.operation_name=GET&query.start_time_min=1970-01-01T00:00:01.5Z\
                     &query.start_time_max=1970-01-01T01:00:02%2B01:00&query.num_traces=3&query.duration_min=1ms";
        let camel = "query.serviceName=cart&query.operationName=GET&query.startTimeMin=1970-01-01T00:00:01.5Z\
                     &query.startTimeMax=1970-01-01T00:00:02Z&query.searchDepth=3&query.durationMin=1ms";
        for text in [snake, camel] {
            let (query, raw) = read(text).unwrap();
            assert_eq!((query.service.as_deref(), query.name.as_deref()), (Some("cart"), Some("GET")));
            assert_eq!((query.from_us, query.to_us, query.limit, raw), (1_500_000, 2_000_000, 3, false));
            assert_eq!((query.duration_us_min, query.duration_us_max), (Some(1000), None));
        }
    }

    #[test]
    fn mistakes_name_their_parameter() {
        assert_eq!(read("").unwrap_err(), "query.start_time_min and query.start_time_max are required");
        let times = "query.start_time_min=1970-01-01T00:00:01Z&query.start_time_max=1970-01-01T00:00:02Z";
        for (more, begin) in [
            ("query.num_traces=x", "malformed parameter query.num_traces: "),
            ("query.duration_max=5", "malformed parameter query.duration_max: time: missing unit"),
            ("query.attributes=5", "malformed parameter query.attributes: "),
            ("query.raw_traces=5", "malformed parameter query.raw_traces: "),
        ] {
            let message = read(&format!("{times}&{more}")).unwrap_err();
            assert!(message.starts_with(begin), "{message}");
        }
        assert!(read("query.start_time_min=now&query.start_time_max=now").unwrap_err().contains("query.start_time_min: "));
    }
}
