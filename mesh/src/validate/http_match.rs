//! The conditions of HTTP rules, and which of them hide which.

use super::common;
use super::report::Report;
use crate::codes;
use crate::config::{HttpMatch, HttpRoute, StringMatch, join_path, labels_match};

pub(super) fn check(report: &mut Report<'_>, path: &str, rule: &HttpRoute) {
    for (index, condition) in rule.matches.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        let single = [("uri", &condition.uri), ("scheme", &condition.scheme), ("method", &condition.method)];
        for (name, value) in single.into_iter().chain([("authority", &condition.authority)]) {
            if let Some(value) = value {
                common::string_match(report, &join_path(&path, name), value);
            }
        }
        for (name, map) in [
            ("headers", &condition.headers),
            ("withoutHeaders", &condition.without_headers),
            ("queryParams", &condition.query_params),
        ] {
            for (key, value) in map {
                common::string_match(report, &join_path(&join_path(&path, name), key), value);
            }
        }
        slash(report, &path, condition);
    }
}

fn slash(report: &mut Report<'_>, path: &str, condition: &HttpMatch) {
    let (word, text) = match &condition.uri {
        Some(StringMatch::Exact(text)) => ("exact", text),
        Some(StringMatch::Prefix(text)) => ("prefix", text),
        _ => return,
    };
    // `*` asks for `OPTIONS *`, the one path without a slash.
    if !text.starts_with('/') && text != "*" && !(word == "prefix" && text.is_empty()) {
        let message = format!("this never matches: paths begin with `/`, but `{}` does not", text.escape_debug());
        let finding = report.warning(codes::NEVER_MATCHES, &format!("{path}.uri.{word}"), message);
        finding.suggestions.push(format!("/{text}"));
    }
}

/// Rules and matches behind others that take all their requests. One finding per rule.
pub(super) fn reachable(report: &mut Report<'_>, rules: &[HttpRoute]) {
    let mut earlier: Vec<(String, HttpMatch)> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.http[{index}]");
        let conditions: Vec<(String, HttpMatch)> = if rule.matches.is_empty() {
            vec![(path.clone(), HttpMatch::default())]
        } else {
            let named = rule.matches.iter().enumerate();
            named.map(|(nth, condition)| (format!("{path}.match[{nth}]"), condition.clone())).collect()
        };
        let mut hidden = Vec::new();
        let all = conditions.len();
        for (at, condition) in conditions {
            match earlier.iter().find(|(_, other)| covers(other, &condition)) {
                Some((by, _)) => hidden.push((at, by.clone())),
                None => earlier.push((at, condition)),
            }
        }
        // When nothing of the rule is left, one finding at the rule says it all.
        match &hidden[..] {
            [] => {}
            [(_, by), ..] if hidden.len() == all => unreachable(report, &path, "rule", by),
            some => some.iter().for_each(|(at, by)| unreachable(report, at, "match", by)),
        }
    }
}

fn unreachable(report: &mut Report<'_>, path: &str, what: &str, by: &str) {
    let by = by.trim_start_matches("spec.");
    let message = format!("no request gets to this {what}: `{by}` in front takes them all; move it up, or remove it");
    report.warning(codes::UNREACHABLE, path, message);
}

/// Whether every request that fits `later` fits `earlier` too. In doubt, no.
fn covers(earlier: &HttpMatch, later: &HttpMatch) -> bool {
    let uri = match &earlier.uri {
        None => true,
        Some(StringMatch::Prefix(prefix)) if prefix == "/" => true,
        Some(StringMatch::Regex(regex)) if regex == ".*" => true,
        // Ignoring case covers more, but comparing the two would need the same folding as the proxy's.
        uri => earlier.ignore_uri_case == later.ignore_uri_case && within(uri.as_ref(), later.uri.as_ref()),
    };
    let maps = [
        (&earlier.headers, &later.headers),
        (&earlier.without_headers, &later.without_headers),
        (&earlier.query_params, &later.query_params),
    ];
    uri && within(earlier.scheme.as_ref(), later.scheme.as_ref())
        && within(earlier.method.as_ref(), later.method.as_ref())
        && within(earlier.authority.as_ref(), later.authority.as_ref())
        && maps.iter().all(|(a, b)| a.iter().all(|(name, condition)| within(Some(condition), b.get(name))))
        && earlier.port.is_none_or(|port| later.port == Some(port))
        && labels_match(&earlier.source_labels, &later.source_labels)
        && (earlier.source_namespace.is_empty() || earlier.source_namespace == later.source_namespace)
        && (earlier.gateways.is_empty() || earlier.gateways == later.gateways)
}

/// Whether every text that fits `later` fits `earlier`.
fn within(earlier: Option<&StringMatch>, later: Option<&StringMatch>) -> bool {
    match (earlier, later) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(StringMatch::Prefix(prefix)), Some(StringMatch::Prefix(text) | StringMatch::Exact(text))) => {
            text.starts_with(prefix.as_str())
        }
        (Some(a), Some(b)) => a == b,
    }
}
