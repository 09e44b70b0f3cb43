//! What the classic API is asked, read from its parameters; mistakes are told in Jaeger's words.

use std::collections::BTreeMap;

use super::duration::parse_ns;
use crate::query::params::Params;
use crate::query::traces::read_id;
use crate::store::TraceQuery;

/// Traces of an answer without being told.
const LIMIT: usize = 100;
/// Traces of an answer at most; who asks for more gets as many.
pub const LIMIT_MAX: usize = 1_000;
/// Traces that are asked for by their ids at once.
pub const TRACE_IDS_MAX: usize = 100;
/// Conditions on tags of one search.
const TAGS_MAX: usize = 32;
/// How far a search looks back without being told.
const LOOKBACK_US: i64 = 48 * 3600 * 1_000_000;
/// The same of dependencies, in milliseconds.
const DEPENDENCIES_LOOKBACK_MS: i64 = 24 * 3600 * 1000;

/// Why a question cannot be read; it is what the caller gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadQuestion(pub String);

impl BadQuestion {
    fn of_param(name: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("unable to parse param '{name}': {why}"))
    }
}

/// What `/api/traces` is asked.
#[derive(Clone, Debug)]
pub struct Search {
    /// These traces, whatever they are like, when there are any.
    pub trace_ids: Vec<[u8; 16]>,
    pub query: TraceQuery,
    pub raw: bool,
}

/// Reads a search.
///
/// # Errors
/// When a parameter cannot be read, or neither a service nor an id is told.
pub fn search(params: &Params, now_ms: i64) -> Result<Search, BadQuestion> {
    let now_us = now_ms.saturating_mul(1000);
    let from_us = time(params, "start", now_us.saturating_sub(LOOKBACK_US))?;
    let to_us = time(params, "end", now_us)?;
    let annotations = tags(params)?.into_iter().map(|(name, value)| (name, Some(value))).collect();
    let limit = limit(params)?;
    let (min, max) = (duration_us(params, "minDuration")?, duration_us(params, "maxDuration")?);
    let trace_ids = trace_ids(params)?;
    let raw = flag(params, "raw")?;
    let service = params.filled("service").map(str::to_owned);
    if trace_ids.is_empty() && service.is_none() {
        return Err(service_is_required());
    }
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        return Err(BadQuestion("'maxDuration' should be greater than 'minDuration'".to_owned()));
    }
    let query = TraceQuery {
        service,
        name: params.filled("operation").map(str::to_owned),
        duration_us_min: min,
        duration_us_max: max,
        annotations,
        from_us,
        // The microsecond that was asked for belongs to the answer.
        to_us: to_us.saturating_add(1),
        limit,
        ..TraceQuery::default()
    };
    Ok(Search { trace_ids, query, raw })
}

#[must_use]
pub fn service_is_required() -> BadQuestion {
    BadQuestion("parameter 'service' is required".to_owned())
}

/// Reads what `/api/traces/{id}` is asked besides the id: whether the trace is wanted as it is stored. Times may help a
/// store that does not know where to look; ours does, but they have to be times.
///
/// # Errors
/// When a parameter cannot be read.
pub fn raw(params: &Params) -> Result<bool, BadQuestion> {
    time(params, "start", 0)?;
    time(params, "end", 0)?;
    flag(params, "raw")
}

/// The window of dependencies in milliseconds, its end last.
///
/// # Errors
/// When a parameter cannot be read.
pub fn dependencies(params: &Params, now_ms: i64) -> Result<(i64, i64), BadQuestion> {
    let end_ms = time(params, "endTs", now_ms)?;
    let lookback_ms = time(params, "lookback", DEPENDENCIES_LOOKBACK_MS)?;
    Ok((end_ms.saturating_sub(lookback_ms.max(0)), end_ms))
}

/// An id of 1 to 32 hexadecimal digits.
///
/// # Errors
/// When it is another text; the message is Jaeger's.
pub fn trace_id(text: &str) -> Result<[u8; 16], BadQuestion> {
    if text.len() > 32 {
        return Err(BadQuestion(format!("TraceID cannot be longer than 32 hex characters: {text}")));
    }
    read_id(text).ok_or_else(|| BadQuestion(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")))
}

fn trace_ids(params: &Params) -> Result<Vec<[u8; 16]>, BadQuestion> {
    let read = |text| trace_id(text).map_err(|error| BadQuestion(format!("cannot parse traceID param: {error}")));
    let ids = params.every("traceID").take(TRACE_IDS_MAX + 1).map(read).collect::<Result<Vec<_>, _>>()?;
    if ids.len() > TRACE_IDS_MAX {
        return Err(BadQuestion(format!("more than {TRACE_IDS_MAX} traceID params")));
    }
    Ok(ids)
}

/// `tag=key:value`, and `tags={"key":"value"}`.
fn tags(params: &Params) -> Result<BTreeMap<String, String>, BadQuestion> {
    let mut tags = BTreeMap::new();
    for tag in params.every("tag") {
        let malformed = || BadQuestion(format!("malformed 'tag' parameter, expecting key:value, received: {tag}"));
        let (key, value) = tag.split_once(':').ok_or_else(malformed)?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    for json in params.every("tags").filter(|json| !json.is_empty()) {
        let malformed = |error| BadQuestion(format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"));
        tags.extend(serde_json::from_str::<BTreeMap<String, String>>(json).map_err(malformed)?);
    }
    if tags.len() > TAGS_MAX {
        return Err(BadQuestion(format!("more than {TAGS_MAX} tags")));
    }
    Ok(tags)
}

fn limit(params: &Params) -> Result<usize, BadQuestion> {
    let Some(text) = params.filled("limit") else { return Ok(LIMIT) };
    let limit: i32 = text.parse().map_err(|_| not_a_number(text))?;
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(limit.min(LIMIT_MAX)),
        _ => Err(BadQuestion(format!("'limit' should be a number from 1 to {LIMIT_MAX}"))),
    }
}

fn not_a_number(text: &str) -> BadQuestion {
    BadQuestion(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// A whole number of units since 1970.
fn time(params: &Params, name: &str, default: i64) -> Result<i64, BadQuestion> {
    let Some(text) = params.filled(name) else { return Ok(default) };
    text.parse().map_err(|_| BadQuestion::of_param(name, not_a_number(text)))
}

/// Zero is none, as in Jaeger.
fn duration_us(params: &Params, name: &str) -> Result<Option<i64>, BadQuestion> {
    let Some(text) = params.filled(name) else { return Ok(None) };
    let ns = parse_ns(text).map_err(|error| BadQuestion::of_param(name, error))?;
    Ok(Some(ns / 1000).filter(|us| *us != 0))
}

/// The words that Go takes.
fn flag(params: &Params, name: &str) -> Result<bool, BadQuestion> {
    match params.filled(name) {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(text) => Err(BadQuestion::of_param(name, format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn read(text: &str) -> Result<Search, String> {
        search(&Params::parse(text), NOW_MS).map_err(|error| error.to_string())
    }

    #[test]
    fn a_search_is_read() {
        let search = read(
            "service=cart&operation=GET&start=1000&end=5000&limit=7&minDuration=1.5ms&maxDuration=2s&lookback=1h\
             &tag=a:b:c&tags=%7B%22x%22%3A%22y%22%7D&raw=true&prettyPrint=true",
        )
        .unwrap();
        let TraceQuery { service, name, duration_us_min, duration_us_max, annotations, from_us, to_us, limit, .. } = search.query;
        assert_eq!((service.as_deref(), name.as_deref()), (Some("cart"), Some("GET")));
        assert_eq!((duration_us_min, duration_us_max, from_us, to_us, limit), (Some(1_500), Some(2_000_000), 1000, 5001, 7));
        let tag = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(annotations, [tag("a", "b:c"), tag("x", "y")]);
        assert!(search.raw);
        let by_default = read("service=cart").unwrap();
        assert_eq!((by_default.query.limit, by_default.raw), (100, false));
        assert_eq!(by_default.query.to_us - by_default.query.from_us, LOOKBACK_US + 1);
        let by_id = read("traceID=abc&traceID=00000000000000010000000000000002").unwrap();
        assert_eq!(by_id.trace_ids.iter().map(|id| u128::from_be_bytes(*id)).collect::<Vec<_>>(), [0xabc, (1 << 64) | 2]);
    }

    #[test]
    fn mistakes_are_told_in_jaegers_words() {
        for (text, message) in [
            ("", "parameter 'service' is required"),
            ("service=x&start=soon", r#"unable to parse param 'start': strconv.ParseInt: parsing "soon": invalid syntax"#),
            ("service=x&minDuration=5", r#"unable to parse param 'minDuration': time: missing unit in duration "5""#),
            ("service=x&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
            ("service=x&limit=many", r#"strconv.ParseInt: parsing "many": invalid syntax"#),
            ("service=x&limit=0", "'limit' should be a number from 1 to 1000"),
            ("service=x&tag=a", "malformed 'tag' parameter, expecting key:value, received: a"),
            ("traceID=xyz", r#"cannot parse traceID param: strconv.ParseUint: parsing "xyz": invalid syntax"#),
            ("service=x&raw=maybe", r#"unable to parse param 'raw': strconv.ParseBool: parsing "maybe": invalid syntax"#),
        ] {
            assert_eq!(read(text).unwrap_err(), message, "{text}");
        }
        assert!(read("service=x&tags=%7B").unwrap_err().starts_with("malformed 'tags' parameter, cannot unmarshal JSON: "));
        assert!(read("service=x&tags=%7B%22a%22%3A7%7D").unwrap_err().starts_with("malformed 'tags' parameter"));
        assert_eq!(
            trace_id(&"a".repeat(33)).unwrap_err().to_string(),
            format!("TraceID cannot be longer than 32 hex characters: {}", "a".repeat(33))
        );
    }
}
