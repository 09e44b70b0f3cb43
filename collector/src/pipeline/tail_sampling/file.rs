//! Reads a file of rules: everything that is wrong is told at once, with its line and what to do.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::condition::{Condition, Failure, Pattern};
use super::rules::{DEFAULT, Kind, Rule, Rules};
use crate::ingest::scrape::config::yaml::{self, Mistakes, Node, Table};
use crate::store::CONDITIONS_MAX;

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Rules of one file: each may have a condition.
const RULES_MAX: usize = CONDITIONS_MAX;
/// Characters of a rule's name: it is a label of metrics.
const NAME_CHARS_MAX: usize = 64;
const DECIDE_AFTER: Duration = Duration::from_secs(30);
const DECIDE_LATEST: Duration = Duration::from_secs(180);
/// All traces of this time are in the judge's memory, a line each.
const DECIDE_LATEST_MAX: Duration = Duration::from_secs(1800);
const KINDS: &str = "one of always, never, error, slow, rare, rate, share";
/// Names of gRPC's statuses by their numbers.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("failed to read the rules of tail sampling in {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the rules of tail sampling in {} are larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Each with its file and line.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

pub fn read(path: &Path) -> Result<Rules, RulesError> {
    let failed = |source| RulesError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(RulesError::TooLarge(path.to_owned()));
    }
    parse(&std::fs::read_to_string(path).map_err(failed)?).map_err(|mistakes| {
        let shown = mistakes.into_iter().map(|(line, text)| format!("{}:{line}: {text}", path.display()));
        RulesError::Mistakes(shown.collect())
    })
}

/// What is wrong by line.
pub fn parse(text: &str) -> Result<Rules, Vec<(u64, String)>> {
    let root = yaml::parse(text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Mistakes::default();
    let rules = document(&root, &mut mistakes);
    if mistakes.0.is_empty() {
        return Ok(rules);
    }
    mistakes.0.sort();
    Err(mistakes.0)
}

fn document(root: &Node, mistakes: &mut Mistakes) -> Rules {
    let mut table = root.table("a file of tail sampling", mistakes);
    let line = table.line;
    let after = table.duration("decide_after", mistakes).unwrap_or(DECIDE_AFTER);
    let latest = table.duration("decide_latest", mistakes).unwrap_or(DECIDE_LATEST.max(after));
    if latest < after || latest > DECIDE_LATEST_MAX {
        mistakes.add(line, format!("`decide_latest` is at least `decide_after` ({after:?}) and at most {DECIDE_LATEST_MAX:?}"));
    }
    let keep_or_drop = |text: &str| match text {
        "keep" => Some(true),
        "drop" => Some(false),
        _ => None,
    };
    let default = table.parsed("default", "keep or drop", keep_or_drop, mistakes);
    let mut rules: Vec<Rule> = Vec::new();
    match table.take("rules") {
        Some(entry) => {
            for node in entry.value.list("rules", mistakes) {
                let Some(rule) = rule(node, mistakes) else { continue };
                if rules.iter().any(|known| known.name == rule.name) {
                    mistakes.add(node.line, format!("there are two rules with the name `{}`", rule.name));
                }
                if rules.len() >= RULES_MAX {
                    mistakes.add(node.line, format!("there are more than {RULES_MAX} rules"));
                    break;
                }
                rules.push(rule);
            }
        }
        None => mistakes.add(line, "there are no `rules`; for none at all leave --tail-sampling away"),
    }
    table.finish(mistakes);
    Rules::new(after, latest, rules, default.unwrap_or(false))
}

fn rule(node: &Node, mistakes: &mut Mistakes) -> Option<Rule> {
    let before = mistakes.0.len();
    let mut table = node.table("a rule", mistakes);
    let name = name(&mut table, mistakes);
    let kind = table.text_and_line("kind", mistakes);
    let mut condition = Condition {
        service: table.text("service", mistakes).map(|text| Pattern::new(&text)),
        operation: table.text("operation", mistakes).map(|text| Pattern::new(&text)),
        attributes: attributes(&mut table, mistakes),
        ..Condition::default()
    };
    let kind = match kind {
        Some((kind, line)) => read_kind(&kind, line, &mut table, &mut condition, mistakes),
        None => {
            mistakes.add(node.line, format!("a rule needs a `kind`: {KINDS}"));
            None
        }
    };
    table.finish(mistakes);
    if mistakes.0.len() > before {
        return None;
    }
    let met = (!condition.is_empty()).then(|| condition.name());
    Some(Rule { name: name?.into(), kind: kind?, condition, met })
}

fn name(table: &mut Table<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let line = table.line;
    let Some((name, line)) = table.text_and_line("name", mistakes).filter(|(name, _)| !name.is_empty()) else {
        mistakes.add(line, "a rule needs a `name`, by which its traces are counted");
        return None;
    };
    if name == DEFAULT {
        mistakes.add(line, format!("`{DEFAULT}` is what decides when no rule does; give the rule another name"));
    }
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        mistakes.add(line, format!("the name of a rule has at most {NAME_CHARS_MAX} characters"));
    }
    Some(name)
}

fn attributes(table: &mut Table<'_>, mistakes: &mut Mistakes) -> Vec<(String, Option<Pattern>)> {
    let Some(entry) = table.take("attributes") else { return Vec::new() };
    let attributes = entry.value.table("attributes", mistakes);
    let value = |entry: &yaml::Entry, mistakes: &mut Mistakes| entry.value.text(&entry.key, mistakes).map(Pattern::new);
    attributes.entries().iter().map(|entry| (entry.key.clone(), value(entry, mistakes))).collect()
}

fn read_kind(kind: &str, line: u64, table: &mut Table<'_>, condition: &mut Condition, mistakes: &mut Mistakes) -> Option<Kind> {
    match kind {
        "always" | "never" => {
            if condition.is_empty() {
                mistakes.add(
                    line,
                    format!("`kind: {kind}` needs a `service`, an `operation` or `attributes`; for all traces say `default`"),
                );
            }
            Some(if kind == "always" { Kind::Always } else { Kind::Never })
        }
        "error" => {
            let http = statuses(table, "http_status", "a status such as 503 or 5xx", http_status, mistakes);
            let grpc = statuses(table, "grpc_status", "a status of gRPC such as UNAVAILABLE or 14", grpc_status, mistakes);
            condition.failure = Some(Failure { http, grpc });
            Some(Kind::Error)
        }
        "slow" => {
            let bound = needed(line, "longer_than", table.duration("longer_than", mistakes), mistakes);
            let longer_than_us = bound.and_then(|bound| i64::try_from(bound.as_micros()).ok())?;
            if condition.is_empty() {
                return Some(Kind::Slow { longer_than_us });
            }
            condition.longer_than_us = Some(longer_than_us);
            Some(Kind::Slow { longer_than_us: -1 })
        }
        "rare" => {
            let fewer = table.parsed("fewer_than", "a number of traces in an hour, from 1 on", positive, mistakes);
            needed(line, "fewer_than", fewer, mistakes).map(|per_hour| Kind::Rare { per_hour })
        }
        "rate" => {
            let rate = table.parsed("per_second", "a number of traces above 0", |text| between(text, 1e-6, 1e9), mistakes);
            needed(line, "per_second", rate, mistakes).map(|per_second| Kind::Rate { per_second })
        }
        "share" => {
            let percent = table.parsed("percent", "from 0 to 100", |text| between(text, 0.0, 100.0), mistakes);
            needed(line, "percent", percent, mistakes).map(|percent| Kind::Share { percent })
        }
        other => {
            mistakes.add(line, format!("`kind: {other}` is not {KINDS}"));
            None
        }
    }
}

/// A value that a kind cannot do without; a wrong one was told already.
fn needed<T>(line: u64, key: &str, value: Option<T>, mistakes: &mut Mistakes) -> Option<T> {
    if value.is_none() && !mistakes.0.iter().any(|(_, text)| text.starts_with(&format!("`{key}:"))) {
        mistakes.add(line, format!("this kind of rule needs `{key}`"));
    }
    value
}

fn between(text: &str, least: f64, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number > 0)
}

fn statuses(
    table: &mut Table<'_>,
    key: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<RangeInclusive<u16>>,
    mistakes: &mut Mistakes,
) -> Vec<RangeInclusive<u16>> {
    let Some(entry) = table.take(key) else { return Vec::new() };
    let mut ranges = Vec::new();
    for item in entry.value.list(key, mistakes) {
        let Some(text) = item.text(key, mistakes) else { continue };
        match read(text) {
            Some(range) => ranges.push(range),
            None => mistakes.add(item.line, format!("`{text}` is not {expected}")),
        }
    }
    ranges
}

/// `503` or `5xx`.
fn http_status(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    match text.strip_suffix("xx") {
        Some(class) => status(&format!("{class}00")).map(|first| first..=first + 99),
        None => status(text).map(|status| status..=status),
    }
}

/// `UNAVAILABLE` or `14`.
fn grpc_status(text: &str) -> Option<RangeInclusive<u16>> {
    let number = GRPC.iter().position(|name| *name == text).and_then(|place| u16::try_from(place).ok());
    number.or_else(|| text.parse().ok()).filter(|status| usize::from(*status) < GRPC.len()).map(|status| status..=status)
}
