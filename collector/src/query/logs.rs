//! Searches for log lines as the JSON API asks for them, and the lines as it shows them.

use std::collections::BTreeMap;

use serde_json::Value;
use sidelight_api::logs::{LogLine, LogList};

use super::params::{ParamError, Params};
use super::traces::hex;
use crate::store::log::{
    AccessFields, LogAnswer, LogQuery, LogRecord, NAMESPACE_ATTRIBUTES, NumberField, TextField, WORKLOAD_ATTRIBUTES,
};
use crate::store::{AttributeValue, LOG_LINES_MAX};

/// Seconds that are searched when nothing else is asked for.
const DURATION_S_DEFAULT: u64 = 3600;
/// Lines of an answer when no limit is given.
const LIMIT_DEFAULT: usize = 100;
/// Bytes of a text that is looked for.
const TEXT_BYTES_MAX: usize = 1_024;
/// How far ahead of now lines may be: clocks differ.
const AHEAD_MS: i64 = 3_600_000;

/// Reads the query string of `GET /api/logs`.
///
/// # Errors
/// The first parameter that cannot be read, by name.
pub fn read_query(params: &Params, now_ms: i64) -> Result<LogQuery, ParamError> {
    let to_ms = params.time_ms("to", now_ms.saturating_add(AHEAD_MS))?;
    let duration_ms = params.duration_s("duration", DURATION_S_DEFAULT)?.saturating_mul(1000).min(i64::MAX as u64) as i64;
    let from_ms = params.time_ms("from", to_ms.min(now_ms).saturating_sub(duration_ms).max(0))?;
    let text = |name: &str| match params.filled(name) {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(ParamError::new(name, format!("is longer than {TEXT_BYTES_MAX} bytes"))),
        text => Ok(text.map(str::to_owned)),
    };
    Ok(LogQuery {
        from_ns: from_ms.saturating_mul(1_000_000),
        to_ns: to_ms.saturating_mul(1_000_000),
        service: text("service")?,
        workload: text("workload")?,
        namespace: text("namespace")?,
        direction: params
            .choice("direction", &[("inbound", Some("inbound")), ("outbound", Some("outbound"))], None)?
            .map(str::to_owned),
        method: text("method")?.map(|method| method.to_ascii_uppercase()),
        path_prefix: text("path")?,
        code: params.filled("code").map(read_code).transpose()?,
        flags: params.list("flags")?.into_iter().collect(),
        severity: read_number(params, "severity", 24)?.map(|number| number as u8),
        trace_id: params.filled("traceId").map(read_trace_id).transpose()?,
        request_id: text("requestId")?,
        text: text("text")?,
        limit: read_number(params, "limit", LOG_LINES_MAX as u64)?.map_or(LIMIT_DEFAULT, |limit| (limit as usize).max(1)),
    })
}

fn read_number(params: &Params, name: &str, max: u64) -> Result<Option<u64>, ParamError> {
    let Some(text) = params.filled(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number <= max);
    number.map(Some).ok_or_else(|| ParamError::new(name, format!("`{text}` is not a number up to {max}")))
}

/// `404`, `4xx`, `400-499` or `0`.
fn read_code(text: &str) -> Result<(u64, u64), ParamError> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|code| *code <= 999);
    let class = text.strip_suffix("xx").or(text.strip_suffix("XX")).and_then(number).filter(|class| *class <= 9);
    let range = match (class, text.split_once('-')) {
        (Some(class), _) => Some((class * 100, class * 100 + 99)),
        (None, Some((from, to))) => number(from).zip(number(to)),
        (None, None) => number(text).map(|code| (code, code)),
    };
    let range = range.filter(|(from, to)| from <= to);
    range.ok_or_else(|| ParamError::new("code", format!("`{text}` is not a code such as 404, 4xx or 400-499")))
}

fn read_trace_id(text: &str) -> Result<[u8; 16], ParamError> {
    super::traces::read_id(text).ok_or_else(|| ParamError::new("traceId", format!("`{text}` is not 1 to 32 hexadecimal digits")))
}

/// The answer as it is sent.
#[must_use]
pub fn list(answer: &LogAnswer) -> LogList {
    LogList {
        lines: answer.records.iter().map(line).collect(),
        // Rounded up: a line of the same millisecond is shown again rather than left out.
        searched_from_ms: answer.searched_from_ns.map(|from_ns| from_ns.div_euclid(1_000_000) + 1),
        corrupt_blocks: answer.corrupt_blocks,
    }
}

fn line(record: &LogRecord) -> LogLine {
    let resource = values(&record.resource.attributes);
    let word =
        |names: &[&str]| names.iter().find_map(|name| resource.get(*name)?.as_str()).map(str::to_owned).unwrap_or_default();
    LogLine {
        time_us: record.time_ns.div_euclid(1000),
        service: record.resource.service.to_string(),
        namespace: word(&NAMESPACE_ATTRIBUTES),
        workload: word(&WORKLOAD_ATTRIBUTES),
        severity: Some(record.severity).filter(|severity| *severity > 0),
        severity_text: record.severity_text.to_string(),
        body: record.body.as_ref().map(ToString::to_string).unwrap_or_default(),
        trace_id: record.trace_id.map(|id| hex(&id)),
        span_id: record.span_id.map(|id| hex(&id)),
        access: access(&record.access),
        attributes: values(&record.attributes),
        resource,
    }
}

/// Addresses with their ports, numbers as numbers.
fn access(fields: &AccessFields) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (field, text) in &fields.texts {
        let port = field.port().and_then(|port| fields.number(port));
        let text = match port {
            Some(port) if text.contains(':') => format!("[{text}]:{port}"),
            Some(port) => format!("{text}:{port}"),
            None => text.to_string(),
        };
        values.insert(field.name().to_owned(), text.into());
    }
    for (field, number) in &fields.numbers {
        let value = match field {
            NumberField::SampleRate => f64::from_bits(*number).into(),
            field if field.is_port_of_address() => continue,
            _ => (*number).into(),
        };
        values.insert(field.name().to_owned(), value);
    }
    if fields.is_empty() {
        return values;
    }
    // As Istio writes it when there are none.
    values.entry(TextField::Flags.name().to_owned()).or_insert_with(|| "-".into());
    values
}

fn values(attributes: &[(std::sync::Arc<str>, AttributeValue)]) -> BTreeMap<String, Value> {
    attributes.iter().map(|(name, value)| (name.to_string(), json(value))).collect()
}

fn json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Bool(flag) => (*flag).into(),
        AttributeValue::Int(number) => (*number).into(),
        AttributeValue::Double(number) => (*number).into(),
        AttributeValue::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.to_string().into()),
        AttributeValue::Text(_) | AttributeValue::Bytes(_) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW_MS: i64 = 1_795_416_100_000;

    fn read(query: &str) -> Result<LogQuery, String> {
        read_query(&Params::parse(query), NOW_MS).map_err(|error| error.to_string())
    }

    #[test]
    fn every_parameter_is_read() {
        let query = read(
            "from=1795410000&to=1795413600&service=a&workload=b&namespace=c&direction=inbound&method=get&path=/x&code=5xx\
             &flags=UF,DC&severity=9&traceId=ab&requestId=r&text=t&limit=7",
        )
        .unwrap();
        let mut trace_id = [0; 16];
        trace_id[15] = 0xab;
        let word = |text: &str| Some(text.to_owned());
        let expected = LogQuery {
            from_ns: 1_795_410_000_000_000_000,
            to_ns: 1_795_413_600_000_000_000,
            service: word("a"),
            workload: word("b"),
            namespace: word("c"),
            direction: word("inbound"),
            method: word("GET"),
            path_prefix: word("/x"),
            code: Some((500, 599)),
            flags: vec!["DC".to_owned(), "UF".to_owned()],
            severity: Some(9),
            trace_id: Some(trace_id),
            request_id: word("r"),
            text: word("t"),
            limit: 7,
        };
        assert_eq!(query, expected);
    }

    #[test]
    fn the_last_hour_is_searched_by_default() {
        let query = read("").unwrap();
        assert_eq!((query.from_ns, query.limit), ((NOW_MS - 3_600_000) * 1_000_000, 100));
        assert_eq!(read("duration=1m").unwrap().from_ns, (NOW_MS - 60_000) * 1_000_000);
        assert_eq!(read("duration=1m&to=1795413600").unwrap().from_ns, 1_795_413_540_000_000_000);
    }

    #[test]
    fn codes_in_all_spellings() {
        for (text, range) in
            [("404", Some((404, 404))), ("4xx", Some((400, 499))), ("0", Some((0, 0))), ("200-302", Some((200, 302)))]
        {
            assert_eq!(read_code(text).ok(), range, "{text}");
        }
        for text in ["many", "xx", "12xx", "500-400", "1000"] {
            assert_eq!(
                read(&format!("code={text}")).unwrap_err(),
                format!("parameter `code`: `{text}` is not a code such as 404, 4xx or 400-499")
            );
        }
        assert_eq!(read("limit=9999").unwrap_err(), "parameter `limit`: `9999` is not a number up to 5000");
        assert!(read("direction=up").is_err() && read("traceId=xyz").is_err() && read("severity=25").is_err());
    }

    #[test]
    fn a_line_is_shown_with_its_addresses_whole() {
        let mut record = LogRecord { time_ns: 1_500, severity: 9, ..LogRecord::default() };
        record.trace_id = Some([0xab; 16]);
        record.body = Some(AttributeValue::text("hello"));
        record.attributes.push(("list".into(), AttributeValue::Json("[1]".into())));
        let pod = ("k8s.pod.name".into(), AttributeValue::text("pod-7"));
        record.resource = std::sync::Arc::new(crate::store::Resource { attributes: vec![pod], ..Default::default() });
        record.access.texts.push((TextField::UpstreamHost, "10.0.0.1".into()));
        record.access.texts.push((TextField::DownstreamRemote, "::1".into()));
        record.access.numbers.push((NumberField::SampleRate, 0.5f64.to_bits()));
        record.access.numbers.push((NumberField::UpstreamHostPort, 80));
        record.access.numbers.push((NumberField::DownstreamRemotePort, 81));
        let answer = LogAnswer { records: vec![record], searched_from_ns: Some(1_500), corrupt_blocks: 0 };
        assert_eq!(
            serde_json::to_value(list(&answer)).unwrap(),
            serde_json::json!({"lines": [{"timeUs": 1, "service": "", "workload": "pod-7", "resource": {"k8s.pod.name": "pod-7"}, "severity": 9, "body": "hello",
                "traceId": "abababababababababababababababab",
                "access": {"upstream_host": "10.0.0.1:80", "downstream_remote_address": "[::1]:81", "sample_rate": 0.5,
                    "response_flags": "-"},
                "attributes": {"list": [1]}}], "searchedFromMs": 1, "corruptBlocks": 0})
        );
    }
}
