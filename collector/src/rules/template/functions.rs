//! The functions of templates: those of Go, and those that Prometheus adds.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use time::OffsetDateTime;

use super::format::{printf, significant};
use super::value::Value;
use super::{Facts, RENDERED_BYTES_MAX, TemplateError, wrong};
use crate::duration;

/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;

const NAMES: [&str; 44] = [
    "and",
    "or",
    "not",
    "len",
    "index",
    "print",
    "printf",
    "println",
    "html",
    "urlquery",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "sortByLabel",
    "args",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `and` and `or` are not among them: they do not look at all of their arguments.
pub(super) fn call(name: &str, args: &[Value], facts: &Facts<'_>) -> Result<Value, TemplateError> {
    let result = match args {
        [] => without_arguments(name, facts),
        [one] => of_one(name, one, facts),
        _ => None,
    };
    let result = result.or_else(|| of_several(name, args));
    let result = result.unwrap_or_else(|| wrong(format!("wrong number of args for {name}: got {}", args.len())));
    result.map_err(|TemplateError(why)| TemplateError(format!("error calling {name}: {why}")))
}

type Outcome = Option<Result<Value, TemplateError>>;

fn without_arguments(name: &str, facts: &Facts<'_>) -> Outcome {
    Some(Ok(match name {
        "now" => Value::Float(facts.now_s),
        "externalURL" => Value::text(facts.external_url),
        "pathPrefix" => Value::text(path_of(facts.external_url)),
        _ => return None,
    }))
}

fn path_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or("", |(_, rest)| rest);
    behind.find('/').map_or("", |at| &behind[at..])
}

fn of_one(name: &str, value: &Value, facts: &Facts<'_>) -> Outcome {
    let text = |change: &dyn Fn(&str) -> String| value.as_text().map(|text| Value::Text(change(text)));
    let float = |change: &dyn Fn(f64) -> String| value.float().map(|value| Value::Text(change(value)));
    Some(match name {
        "not" => Ok(Value::Bool(!value.is_true())),
        "len" => length(value),
        "query" => value.as_text().and_then(|text| (facts.query)(text).map_err(TemplateError)),
        "first" => first(value),
        "value" => value.field("Value"),
        "strvalue" => value.field("Labels").and_then(|labels| labels.field("__value__")),
        "safeHtml" => text(&str::to_owned),
        "html" => text(&escaped),
        "urlquery" => Ok(Value::Text(url_query(&value.to_string()))),
        "title" => text(&title),
        "toUpper" => text(&str::to_uppercase),
        "toLower" => text(&str::to_lowercase),
        "graphLink" => text(&|expression| format!("/graph?g0.expr={}&g0.tab=0", url_query(expression))),
        "tableLink" => text(&|expression| format!("/graph?g0.expr={}&g0.tab=1", url_query(expression))),
        "stripPort" => text(&strip_port),
        "stripDomain" => text(&strip_domain),
        "humanize" => float(&humanize),
        "humanize1024" => float(&humanize_1024),
        "humanizeDuration" => float(&humanize_duration),
        "humanizePercentage" => float(&|value| format!("{}%", significant(value * 100.0, 4))),
        "humanizeTimestamp" => float(&humanize_timestamp),
        "toTime" => float(&humanize_timestamp),
        "toDuration" => float(&humanize_duration),
        "parseDuration" => value.as_text().and_then(|text| match duration::parse(text) {
            Some(duration) => Ok(Value::Float(duration.as_secs_f64())),
            None => wrong(format!("`{text}` is no duration")),
        }),
        _ => return None,
    })
}

fn of_several(name: &str, args: &[Value]) -> Outcome {
    Some(match (name, args) {
        ("print", _) => Ok(Value::Text(print(args))),
        ("println", _) => Ok(Value::Text(println(args))),
        ("printf", [pattern, rest @ ..]) => pattern.as_text().and_then(|pattern| printf(pattern, rest)).map(Value::Text),
        ("args", _) => {
            let named = args.iter().enumerate().map(|(place, value)| (format!("arg{place}"), value.clone()));
            Ok(Value::map(named))
        }
        ("index", [of, keys @ ..]) => keys.iter().try_fold(of.clone(), |of, key| index(&of, key)),
        ("eq", [left, rest @ ..]) if !rest.is_empty() => any_equal(left, rest).map(Value::Bool),
        ("ne", [left, right]) => any_equal(left, std::slice::from_ref(right)).map(|equal| Value::Bool(!equal)),
        ("lt", [left, right]) => ordered(left, right, |order| order == Some(Ordering::Less)),
        ("le", [left, right]) => ordered(left, right, |order| matches!(order, Some(Ordering::Less | Ordering::Equal))),
        ("gt", [left, right]) => ordered(left, right, |order| order == Some(Ordering::Greater)),
        ("ge", [left, right]) => ordered(left, right, |order| matches!(order, Some(Ordering::Greater | Ordering::Equal))),
        ("label", [label, sample]) => {
            label.as_text().and_then(|label| sample.field("Labels").and_then(|labels| labels.field(label)))
        }
        ("sortByLabel", [label, list]) => label.as_text().and_then(|label| sorted(label, list)),
        ("match", [pattern, text]) => matched(pattern, text),
        ("reReplaceAll", [pattern, replacement, text]) => replaced(pattern, replacement, text),
        _ => return None,
    })
}

fn length(value: &Value) -> Result<Value, TemplateError> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => return wrong(format!("{} has no length", other.kind())),
    };
    Ok(Value::Int(length as i64))
}

fn first(value: &Value) -> Result<Value, TemplateError> {
    match value {
        Value::List(items) => {
            items.first().cloned().ok_or_else(|| TemplateError("first() called on vector with no elements".into()))
        }
        other => wrong(format!("{} has no elements", other.kind())),
    }
}

fn index(of: &Value, key: &Value) -> Result<Value, TemplateError> {
    match (of, key) {
        (Value::Map(_), Value::Text(key)) => of.field(key),
        (Value::List(items), Value::Int(place)) => {
            let item = usize::try_from(*place).ok().and_then(|place| items.get(place));
            item.cloned().ok_or_else(|| TemplateError(format!("index out of range: {place}")))
        }
        (of, key) => wrong(format!("cannot index {} by {}", of.kind(), key.kind())),
    }
}

/// Go does not compare numbers of two kinds.
fn compared(left: &Value, right: &Value) -> Result<Option<Ordering>, TemplateError> {
    Ok(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => return wrong("incompatible types for comparison"),
    })
}

fn any_equal(left: &Value, rest: &[Value]) -> Result<bool, TemplateError> {
    for right in rest {
        let is_equal = match (left, right) {
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Nil, Value::Nil) => true,
            _ => compared(left, right)? == Some(Ordering::Equal),
        };
        if is_equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ordered(left: &Value, right: &Value, is: impl Fn(Option<Ordering>) -> bool) -> Result<Value, TemplateError> {
    compared(left, right).map(|order| Value::Bool(is(order)))
}

/// Spaces only between two values of which none is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (place, value) in args.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if place > 0 && !is_text(value) && !is_text(&args[place - 1]) {
            out.push(' ');
        }
        out.push_str(&value.to_string());
    }
    out
}

fn println(args: &[Value]) -> String {
    args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ") + "\n"
}

fn sorted(label: &str, list: &Value) -> Result<Value, TemplateError> {
    let Value::List(items) = list else { return wrong(format!("{} cannot be sorted", list.kind())) };
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((item.field("Labels")?.field(label)?.to_string(), item.clone()));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::List(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn regex(pattern: &Value) -> Result<Regex, TemplateError> {
    let pattern = pattern.as_text()?;
    let built = RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
    built.map_err(|_| TemplateError(format!("`{pattern}` is no regular expression")))
}

fn matched(pattern: &Value, text: &Value) -> Result<Value, TemplateError> {
    Ok(Value::Bool(regex(pattern)?.is_match(text.as_text()?)))
}

fn replaced(pattern: &Value, replacement: &Value, text: &Value) -> Result<Value, TemplateError> {
    let (pattern, replacement, text) = (regex(pattern)?, replacement.as_text()?, text.as_text()?);
    let (mut out, mut from) = (String::new(), 0);
    for captures in pattern.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[from..whole.start()]);
        captures.expand(replacement, &mut out);
        from = whole.end();
        if out.len() > RENDERED_BYTES_MAX {
            return wrong("makes too long a text");
        }
    }
    out.push_str(&text[from..]);
    Ok(Value::Text(out))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// As Go's `url.QueryEscape`.
pub fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut before = ' ';
    let up = |c: char| {
        let is_first = !before.is_alphanumeric() && before != '_' && before != '\'';
        before = c;
        if is_first { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
    };
    text.chars().flat_map(up).collect()
}

fn strip_port(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') => host.trim_matches(['[', ']']).to_owned(),
        Some((host, _)) if !host.contains(':') => host.to_owned(),
        _ => address.to_owned(),
    }
}

fn strip_domain(address: &str) -> String {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => (host.trim_matches(['[', ']']), Some(port)),
        _ => (address, None),
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let host = host.split('.').next().unwrap_or(host);
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_plain(value: f64) -> bool {
    value == 0.0 || !value.is_finite()
}

fn humanize(value: f64) -> String {
    if is_plain(value) {
        return significant(value, 4);
    }
    if value.abs() < 1.0 {
        return small(value, "");
    }
    scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
}

fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value, 4);
    }
    scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn scaled(mut value: f64, by: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        prefix = next;
        value /= by;
    }
    format!("{}{prefix}", significant(value, 4))
}

/// With a prefix that makes it at least one.
fn small(mut value: f64, unit: &str) -> String {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}{unit}", significant(value, 4))
}

fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value, 4);
    }
    if value == 0.0 {
        return format!("{}s", significant(value, 4));
    }
    if value.abs() < 1.0 {
        return small(value, "s");
    }
    let (sign, value) = (if value < 0.0 { "-" } else { "" }, value.abs());
    let whole = value as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", significant(value, 4)),
        (0, 0, minutes) => format!("{sign}{minutes}m {seconds}s"),
        (0, hours, minutes) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        (days, hours, minutes) => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

fn humanize_timestamp(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i128;
    match OffsetDateTime::from_unix_timestamp_nanos(nanos) {
        Ok(at) if seconds.is_finite() => {
            let fraction = format!(".{:09}", at.nanosecond());
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            let (date, (hour, minute, second)) = (at.date(), at.to_hms());
            format!("{date} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC")
        }
        _ => significant(seconds, 4),
    }
}
