//! Tables, times and findings as the client verbs print them.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sidelight_mesh::finding::{Finding, Severity};

/// Columns as wide as their widest cell, two spaces apart, nothing after the last.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().cloned());
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            row.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Writes to stdout; a reader that left is an error that the exit code does not count.
///
/// # Errors
/// stdout is closed or full.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// # Errors
/// As [`print`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))?;
    Ok(())
}

/// `file:line:column: error CODE message`, and what it could be instead.
#[must_use]
pub fn finding_line(place: &str, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut line = format!("{place}: {severity} {} {}", finding.code, finding.message);
    if let [first, ..] = finding.suggestions.as_slice() {
        line.push_str(&format!(" (did you mean `{first}`?)"));
    }
    line
}

/// `1 error`, `2 errors`.
#[must_use]
pub fn counted(count: u32, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[must_use]
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// How long ago, in one unit: `12s`, `5m`, `3h`, `9d`; `-` for never.
#[must_use]
pub fn age(then_ms: i64, now_ms: i64) -> String {
    if then_ms <= 0 {
        return "-".to_owned();
    }
    match (now_ms - then_ms).max(0) / 1_000 {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7_200 => format!("{}m", s / 60),
        s @ 7_200..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// Local clocks are not known here, so the time is UTC and says so.
#[must_use]
pub fn timestamp(ms: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    time::OffsetDateTime::from_unix_timestamp(ms.div_euclid(1_000))
        .ok()
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let rows = vec![vec!["a".into(), "bb".into()], vec!["cccc".into(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X     Y\na     bb\ncccc\n");
    }

    #[test]
    fn ages_have_one_unit() {
        assert_eq!(age(1_000, 60_000), "59s");
        assert_eq!(age(1_000, 601_000), "10m");
        assert_eq!(age(0, 601_000), "-");
        assert_eq!(age(5_000, 1_000), "0s");
        assert_eq!(timestamp(1_795_416_100_321), "2026-11-23 06:41:40Z");
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding {
            code: "KIA1107".into(),
            severity: Severity::Error,
            message: "subset `v9` is not defined".into(),
            path: "spec.http[0]".into(),
            line: 9,
            column: 3,
            length: 2,
            suggestions: vec!["v3".into()],
        };
        assert_eq!(
            finding_line("a.yaml:9:3", &finding),
            "a.yaml:9:3: error KIA1107 subset `v9` is not defined (did you mean `v3`?)"
        );
    }
}
