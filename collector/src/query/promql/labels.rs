//! Functions that rewrite labels.

use regex::RegexBuilder;

use super::series::{Series, label, with_label};
use super::{QueryError, execution};

/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// `[destination, replacement, source, pattern]`: where the source's whole value fits, the destination is set.
pub(super) fn replace(series: Vec<Series>, texts: &[String; 4]) -> Result<Vec<Series>, QueryError> {
    let [destination, replacement, source, pattern] = texts;
    let built = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(COMPILED_BYTES_MAX).build();
    let Ok(pattern) = built else {
        return execution(format!("invalid regular expression in label_replace(): {pattern}"));
    };
    if !is_label_name(destination) {
        return execution(format!("invalid destination label name in label_replace(): {destination}"));
    }
    Ok(series
        .into_iter()
        .map(|one| match pattern.captures(label(&one.labels, source)) {
            Some(captures) => {
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                Series { labels: with_label(&one.labels, destination, &value), ..one }
            }
            None => one,
        })
        .collect())
}

/// `[destination, separator, sources…]`
pub(super) fn join(series: Vec<Series>, texts: &[String]) -> Result<Vec<Series>, QueryError> {
    let [destination, separator, sources @ ..] = texts else { return execution("label_join lacks arguments") };
    if let Some(bad) = sources.iter().find(|source| !is_label_name(source)) {
        return execution(format!("invalid source label name in label_join(): {bad}"));
    }
    if !is_label_name(destination) {
        return execution(format!("invalid destination label name in label_join(): {destination}"));
    }
    Ok(series
        .into_iter()
        .map(|one| {
            let values: Vec<&str> = sources.iter().map(|source| label(&one.labels, source)).collect();
            Series { labels: with_label(&one.labels, destination, &values.join(separator)), ..one }
        })
        .collect())
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
