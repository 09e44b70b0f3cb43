//! Functions that rewrite labels.

use regex::RegexBuilder;

use super::series::{Series, label, with_label};
use super::{Limits, QueryError, execution};
use crate::ingest::door::VALUE_BYTES_MAX;
use crate::store::sample::Sample;

/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Counts what values are made: calls within calls would let them grow without end.
struct Made<'a> {
    limits: &'a Limits,
    bytes: usize,
}

impl Made<'_> {
    fn value(&mut self, function: &str, bytes: usize) -> Result<(), QueryError> {
        if bytes > VALUE_BYTES_MAX {
            return execution(format!(
                "{function}() would make a value of up to {bytes} bytes; a label may have {VALUE_BYTES_MAX}"
            ));
        }
        self.bytes += bytes;
        self.limits.allow(self.bytes / size_of::<Sample>())
    }
}

/// `[destination, replacement, source, pattern]`: where the source's whole value fits, the destination is set.
pub(super) fn replace(series: Vec<Series>, texts: &[String; 4], limits: &Limits) -> Result<Vec<Series>, QueryError> {
    let [destination, replacement, source, pattern] = texts;
    let built = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(COMPILED_BYTES_MAX).build();
    let Ok(pattern) = built else {
        return execution(format!("invalid regular expression in label_replace(): {pattern}"));
    };
    if !is_label_name(destination) {
        return execution(format!("invalid destination label name in label_replace(): {destination}"));
    }
    let mut made = Made { limits, bytes: 0 };
    let references = replacement.matches('$').count();
    let replaced = series.into_iter().map(|one| {
        let source = label(&one.labels, source);
        let Some(captures) = pattern.captures(source) else { return Ok(one) };
        // Before it is made: no reference stands for more than the whole of the source.
        made.value("label_replace", replacement.len().saturating_add(references.saturating_mul(source.len())))?;
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        Ok(Series { labels: with_label(&one.labels, destination, &value), ..one })
    });
    replaced.collect()
}

/// `[destination, separator, sources…]`
pub(super) fn join(series: Vec<Series>, texts: &[String], limits: &Limits) -> Result<Vec<Series>, QueryError> {
    let [destination, separator, sources @ ..] = texts else { return execution("label_join lacks arguments") };
    if let Some(bad) = sources.iter().find(|source| !is_label_name(source)) {
        return execution(format!("invalid source label name in label_join(): {bad}"));
    }
    if !is_label_name(destination) {
        return execution(format!("invalid destination label name in label_join(): {destination}"));
    }
    let mut made = Made { limits, bytes: 0 };
    let joined = series.into_iter().map(|one| {
        let values: Vec<&str> = sources.iter().map(|source| label(&one.labels, source)).collect();
        let separators = separator.len().saturating_mul(values.len().saturating_sub(1));
        made.value("label_join", values.iter().map(|value| value.len()).sum::<usize>().saturating_add(separators))?;
        Ok(Series { labels: with_label(&one.labels, destination, &values.join(separator)), ..one })
    });
    joined.collect()
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
