//! What a page says of its metrics: the lines `# TYPE`, `# HELP` and `# UNIT`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ingest::exposition::{Line, Meta, lines};
use crate::store::Metadata;

/// Metrics of one page.
const METRICS_MAX: usize = 5_000;

/// Type, help and unit.
type Texts<'a> = (&'a str, &'a str, &'a str);

pub(super) fn read(text: &str) -> Arc<[Metadata]> {
    let mut metrics: BTreeMap<&str, Texts<'_>> = BTreeMap::new();
    for line in lines(text).take_while(|line| *line != Line::End) {
        let Line::Meta(meta) = line else { continue };
        let (Meta::Help(metric, _) | Meta::Type(metric, _) | Meta::Unit(metric, _)) = meta;
        if metrics.len() >= METRICS_MAX && !metrics.contains_key(metric) {
            continue;
        }
        let texts = metrics.entry(metric).or_default();
        match meta {
            Meta::Type(_, kind) => texts.0 = kind,
            Meta::Help(_, help) => texts.1 = help,
            Meta::Unit(_, unit) => texts.2 = unit,
        }
    }
    metrics.into_iter().map(|(metric, (kind, help, unit))| Metadata::new(metric, kind, &unescaped(help), unit)).collect()
}

/// `\\\\` is a backslash, and `\\n` the end of a line.
fn unescaped(help: &str) -> String {
    let mut out = String::with_capacity(help.len());
    let mut chars = help.chars();
    while let Some(char) = chars.next() {
        match (char, chars.as_str().chars().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(next @ ('\\' | '"'))) => out.push(next),
            _ => {
                out.push(char);
                continue;
            }
        }
        chars.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_metric_come_together() {
        let text = "# HELP a_seconds Time\\nof \\\\ it.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n\
                    # TYPE b untyped\nb 1\n# HELP c All.\nc 1\n# EOF\n# TYPE d gauge\n";
        let expected = [
            Metadata::new("a_seconds", "gauge", "Time\nof \\ it.", "seconds"),
            Metadata::new("b", "unknown", "", ""),
            Metadata::new("c", "unknown", "All.", ""),
        ];
        assert_eq!(*read(text), expected);
    }
}
