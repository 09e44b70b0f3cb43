//! Checks that every kind shares: names, hosts, regular expressions, percentages.

use super::mesh::Mesh;
use super::report::Report;
use crate::codes;
use crate::config::{ConfigObject, Kind, Percent, StringMatch, join_path};
use crate::hosts;
use crate::nearest::nearest;

/// Longest name of an object.
const NAME_MAX: usize = 253;
/// Longest part of a name, and longest label.
const LABEL_MAX: usize = 63;
/// Compiled size of a regular expression that is accepted, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

pub(super) fn metadata(report: &mut Report<'_>, object: &ConfigObject) {
    let metadata = &object.object.metadata;
    let service = object.object.kind() == Kind::Service;
    let fits = if service { is_label(&metadata.name) } else { is_name(&metadata.name) };
    if !fits {
        let dots = if service { "" } else { " and dots" };
        let message = format!(
            "`{}` is no valid name: use lower-case letters, digits, hyphens{dots}, and begin and end with a letter or digit",
            metadata.name.escape_debug()
        );
        report.error(codes::BAD_NAME, "metadata.name", message).suggestions.extend(mended(&metadata.name));
    }
    if !is_label(&metadata.namespace) {
        let message =
            format!("`{}` is no valid namespace: use lower-case letters, digits and hyphens", metadata.namespace.escape_debug());
        report.error(codes::BAD_NAME, "metadata.namespace", message).suggestions.extend(mended(&metadata.namespace));
    }
}

/// The name with everything replaced that is not allowed.
fn mended(name: &str) -> Option<String> {
    let replaced: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let mended = replaced.trim_matches('-');
    is_label(mended).then(|| mended.to_owned())
}

/// RFC 1123 label.
pub(super) fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= LABEL_MAX && text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// RFC 1123 subdomain.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX && text.split('.').all(is_label)
}

/// `*`, `*.example.com`, a name, or an address.
pub(super) fn is_host(text: &str) -> bool {
    let name = match text {
        "*" => return true,
        text => text.strip_prefix("*.").unwrap_or(text),
    };
    hosts::is_ip(text) || is_name(&name.to_ascii_lowercase())
}

/// Says so when a host cannot be one; tells whether it could.
pub(super) fn host(report: &mut Report<'_>, path: &str, host: &str) -> bool {
    if host.is_empty() {
        report.error(codes::MISSING, path, "the host is missing: name a service, such as `reviews`");
        return false;
    }
    let fits = is_host(host);
    if !fits {
        let hint = match (host.contains("://"), host.contains('/'), host.contains(':')) {
            (true, _, _) => "leave out the `http://`",
            (_, true, _) => "leave out the path",
            (_, _, true) => "leave out the port",
            _ => "use letters, digits, hyphens and dots; a `*` only in front",
        };
        let message = format!("`{}` is no host: {hint}", host.escape_debug());
        report.error(codes::BAD_HOST, path, message);
    }
    fits
}

pub(super) fn export_to(report: &mut Report<'_>, mesh: &Mesh<'_>, entries: &[String]) {
    for (index, entry) in entries.iter().enumerate() {
        if matches!(entry.as_str(), "*" | "." | "~") || mesh.namespaces.contains(entry.as_str()) {
            continue;
        }
        let path = format!("spec.exportTo[{index}]");
        let message =
            format!("there is no namespace `{}`; use `*` for all, `.` for its own, or the name of one", entry.escape_debug());
        report.warning(codes::EXPORT_TO, &path, message).suggestions = nearest(entry, mesh.namespaces.iter().copied());
    }
}

pub(super) fn string_match(report: &mut Report<'_>, path: &str, condition: &StringMatch) {
    if let StringMatch::Regex(pattern) = condition {
        // Written `*`, it asks only for presence.
        if pattern != "*" {
            regex(report, &join_path(path, "regex"), pattern);
        }
    }
}

pub(super) fn regex(report: &mut Report<'_>, path: &str, pattern: &str) {
    let compiled = regex::RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
    if let Err(error) = compiled {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let message = format!("`{}` is no regular expression of RE2: {reason}", pattern.escape_debug());
        report.error(codes::BAD_REGEX, path, message);
    }
}

pub(super) fn percent(report: &mut Report<'_>, path: &str, percent: Option<Percent>) {
    plain_percent(report, &join_path(path, "value"), percent);
}

/// The same where the number stands without `value`.
pub(super) fn plain_percent(report: &mut Report<'_>, path: &str, percent: Option<Percent>) {
    if let Some(Percent { value }) = percent
        && !(0.0..=100.0).contains(&value)
    {
        let message = format!("{value} is no percentage: give a number from 0 to 100");
        report.error(codes::WRONG_VALUE, path, message);
    }
}

pub(super) fn deprecated(report: &mut Report<'_>, path: &str, successor: &str) {
    report.info(codes::DEPRECATED, path, format!("this is an old form; write `{successor}` instead"));
}
