//! One line of Istio's default access log, TEXT or JSON, as a record.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::pipeline::log_edges::Direction;
use crate::store::log::{AccessFields, LogRecord, NumberField, TextField};
use crate::store::{AttributeValue, Resource};

/// Why a line was refused.
pub type Reason = &'static str;

/// Fields of the TEXT format behind the request line, in their order; `true` where the field stands in quotes.
const TEXT: [(&str, bool); 19] = [
    ("response_code", false),
    ("response_flags", false),
    ("response_code_details", false),
    ("connection_termination_details", false),
    ("upstream_transport_failure_reason", true),
    ("bytes_received", false),
    ("bytes_sent", false),
    ("duration", false),
    ("upstream_service_time", false),
    ("x_forwarded_for", true),
    ("user_agent", true),
    ("request_id", true),
    ("authority", true),
    ("upstream_host", true),
    ("upstream_cluster", false),
    ("upstream_local_address", false),
    ("downstream_local_address", false),
    ("downstream_remote_address", false),
    ("requested_server_name", false),
];

/// Reads a line. `resource` is who wrote it.
///
/// # Errors
/// The reason, when it is of neither format.
pub fn parse(line: &str, resource: &Arc<Resource>) -> Result<LogRecord, Reason> {
    let mut record = LogRecord { resource: Arc::clone(resource), ..LogRecord::default() };
    if line.starts_with('{') {
        json(line, &mut record)?
    } else {
        text(line, &mut record)?
    }
    let cluster = record.access.text(TextField::UpstreamCluster);
    if let Some(direction) = Direction::of_cluster(cluster.strip_suffix(';').unwrap_or(cluster)) {
        record.access.texts.push((TextField::Direction, direction.as_str().into()));
    }
    record.access.texts.sort_by_key(|(field, _)| *field);
    record.access.numbers.sort_by_key(|(field, _)| *field);
    Ok(record)
}

fn text(line: &str, record: &mut LogRecord) -> Result<(), Reason> {
    let (start, rest) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).ok_or("bad_line")?;
    record.time_ns = time_ns(start)?;
    let (request, mut rest) = next(rest, true).ok_or("bad_line")?;
    // A path may have blanks; method and protocol have none.
    let (method, target) = request.split_once(' ').ok_or("bad_line")?;
    let (path, protocol) = target.rsplit_once(' ').ok_or("bad_line")?;
    for (name, value) in [("method", method), ("path", path), ("protocol", protocol)] {
        set(&mut record.access, name, value)?;
    }
    for (name, is_quoted) in TEXT {
        let (value, after) = next(rest, is_quoted).ok_or("bad_line")?;
        set(&mut record.access, name, value)?;
        rest = after;
    }
    // The route's name comes last and may have blanks.
    set(&mut record.access, "route_name", rest)
}

/// The next field and what follows it. A quote inside a quoted field is only its end before a blank or the line's end.
fn next(text: &str, is_quoted: bool) -> Option<(&str, &str)> {
    if !is_quoted {
        return Some(text.split_once(' ').unwrap_or((text, ""))).filter(|(field, _)| !field.is_empty());
    }
    let inside = text.strip_prefix('"')?;
    match inside.find("\" ") {
        Some(end) => Some((&inside[..end], &inside[end + 2..])),
        None => inside.strip_suffix('"').map(|field| (field, "")),
    }
}

fn json(line: &str, record: &mut LogRecord) -> Result<(), Reason> {
    let fields: Map<String, Value> = serde_json::from_str(line).map_err(|_| "bad_line")?;
    record.time_ns = time_ns(fields.get("start_time").and_then(Value::as_str).ok_or("no_time")?)?;
    for (name, value) in &fields {
        match value {
            _ if name == "start_time" => {}
            Value::Null => {}
            Value::String(text) => add(record, name, text)?,
            Value::Number(number) => add(record, name, &number.to_string())?,
            other => record.attributes.push((name.as_str().into(), AttributeValue::Json(other.to_string().into()))),
        }
    }
    Ok(())
}

/// A field that is known, or an attribute.
fn add(record: &mut LogRecord, name: &str, value: &str) -> Result<(), Reason> {
    let is_known = matches!(name, "duration" | "upstream_service_time")
        || TextField::ALL.iter().any(|field| field.name() == name && !field.is_common())
        || NumberField::ALL.iter().any(|field| field.name() == name && !field.is_common());
    if is_known {
        return set(&mut record.access, name, value);
    }
    record.attributes.push((name.into(), AttributeValue::text(value)));
    Ok(())
}

/// `-` is Envoy's word for what is not set.
fn set(access: &mut AccessFields, name: &str, value: &str) -> Result<(), Reason> {
    if value.is_empty() || value == "-" {
        return Ok(());
    }
    let number = || value.parse::<u64>().map_err(|_| "bad_number");
    match name {
        "duration" => access.numbers.push((NumberField::DurationUs, number()?.saturating_mul(1000))),
        "upstream_service_time" => access.numbers.push((NumberField::UpstreamServiceTimeMs, number()?)),
        _ => {
            if let Some(field) = NumberField::ALL.into_iter().find(|field| field.name() == name) {
                access.numbers.push((field, number()?));
            } else if let Some(field) = TextField::ALL.into_iter().find(|field| field.name() == name) {
                address(access, field, value);
            }
        }
    }
    Ok(())
}

/// Ports are kept apart from their addresses.
fn address(access: &mut AccessFields, field: TextField, value: &str) {
    let parts = field.port().zip(value.rsplit_once(':'));
    let parts = parts.and_then(|(port_field, (ip, port))| Some((port_field, ip, port.parse::<u16>().ok()?)));
    match parts {
        Some((port_field, ip, port)) => {
            access.texts.push((field, ip.trim_start_matches('[').trim_end_matches(']').into()));
            access.numbers.push((port_field, port.into()));
        }
        None => access.texts.push((field, value.into())),
    }
}

fn time_ns(text: &str) -> Result<i64, Reason> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "bad_time")?;
    i64::try_from(time.unix_timestamp_nanos()).map_err(|_| "bad_time")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Result<LogRecord, Reason> {
        parse(line, &Arc::default())
    }

    const OK: &str = r#"[2026-11-23T06:41:40.321Z] "GET /ok HTTP/1.1" 200 - via_upstream - "-" 0 6 6 5 "-" "lab-client/1.0" "343a860d-c001-92fc-98fa-bd3412029667" "reviews:9080" "127.0.0.1:21001" outbound|9080||reviews.bookinfo.svc.cluster.local 127.0.0.1:37230 127.0.0.1:20001 127.0.0.1:42116 - default"#;
    const JSON: &str = r#"{"authority":"reviews:9080","bytes_received":0,"bytes_sent":"6","connection_termination_details":null,"downstream_local_address":"127.0.0.1:20001","downstream_remote_address":"127.0.0.1:42116","duration":6,"method":"GET","path":"/ok","protocol":"HTTP/1.1","request_id":"343a860d-c001-92fc-98fa-bd3412029667","requested_server_name":"-","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":"default","start_time":"2026-11-23T06:41:40.321Z","upstream_cluster":"outbound|9080||reviews.bookinfo.svc.cluster.local","upstream_host":"127.0.0.1:21001","upstream_local_address":"127.0.0.1:37230","upstream_service_time":"5","upstream_transport_failure_reason":null,"user_agent":"lab-client/1.0","x_forwarded_for":null}"#;

    #[test]
    fn both_formats_say_the_same() {
        let line = read(OK).unwrap();
        assert_eq!(line, read(JSON).unwrap());
        let text = |field| line.access.text(field);
        assert_eq!((text(TextField::Method), text(TextField::Path), text(TextField::Direction)), ("GET", "/ok", "outbound"));
        assert_eq!(
            (text(TextField::UpstreamHost), text(TextField::RouteName), text(TextField::Flags)),
            ("127.0.0.1", "default", "")
        );
        let number = |field| line.access.number(field);
        assert_eq!((number(NumberField::ResponseCode), number(NumberField::DurationUs)), (Some(200), Some(6000)));
        assert_eq!((number(NumberField::UpstreamHostPort), number(NumberField::BytesSent)), (Some(21001), Some(6)));
        assert_eq!(line.time_ns, 1_795_416_100_321_000_000);
    }

    #[test]
    fn connections_and_broken_requests_are_read() {
        let tcp = r#"[2026-11-23T06:42:00.393Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0 - "-" "-" "-" "-" "127.0.0.1:19" uf - 127.0.0.1:20010 127.0.0.1:39480 - -"#;
        let tcp = read(tcp).unwrap();
        assert_eq!((tcp.access.text(TextField::Flags), tcp.access.text(TextField::Method)), ("UF,URX", ""));
        let odd = r#"[2026-11-23T06:42:00.393Z] "GET /a b HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "-" "a "b"" "-" "h" "-" - - 127.0.0.1:1 127.0.0.1:2 - two words"#;
        let odd = read(odd).unwrap();
        assert_eq!((odd.access.text(TextField::Path), odd.access.text(TextField::RouteName)), ("/a b", "two words"));
    }

    #[test]
    fn other_lines_are_refused() {
        for (line, reason) in [
            ("", "bad_line"),
            ("hello", "bad_line"),
            (r#"[yesterday] "GET / HTTP/1.1" 200"#, "bad_time"),
            (r#"[2026-11-23T06:42:00.393Z] "GET / HTTP/1.1" 200 -"#, "bad_line"),
            (
                r#"[2026-11-23T06:42:00.393Z] "GET / HTTP/1.1" many - - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - - - - -"#,
                "bad_number",
            ),
            ("{}", "no_time"),
            ("{", "bad_line"),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
        let more = r#"{"start_time":"2026-11-23T06:41:40.321Z","tenant":"blue","meta":{"a":1}}"#;
        let attributes = read(more).unwrap().attributes;
        assert_eq!(
            attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            [r#"meta={"a":1}"#, "tenant=blue"]
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in ".{0,200}", place in 0..400usize, other in any::<char>()) {
            let _ = read(&line);
            for good in [OK, JSON] {
                let damaged: String = good.chars().enumerate().map(|(at, c)| if at == place { other } else { c }).collect();
                let _ = read(&damaged);
            }
        }
    }
}
