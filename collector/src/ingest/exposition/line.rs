//! One line of an exposition: a sample with its value, time and exemplar, or what is told of a metric.

use super::label::{closing_brace, is_name};
use super::{BadLine, Format};

/// Beyond this, seconds are no milliseconds any more.
const SECONDS_MAX: f64 = 9e12;

/// One sample as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and labels as written: the same text is the same series.
    pub series: &'a str,
    pub name: &'a str,
    /// Between the braces, as written; empty without braces.
    pub labels: &'a str,
    pub value: f64,
    /// Its own time in Unix milliseconds, if it tells one.
    pub t_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// What happened once, of all that a sample counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Between the braces, as written.
    pub labels: &'a str,
    pub value: f64,
    pub t_ms: Option<i64>,
}

/// What follows the series on its line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail<'a> {
    pub value: f64,
    pub t_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// What is told of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meta<'a> {
    Help(&'a str, &'a str),
    Type(&'a str, &'a str),
    Unit(&'a str, &'a str),
}

impl<'a> Meta<'a> {
    /// Reads what follows the `#`; any other comment is none.
    pub(super) fn read(comment: &'a str) -> Option<Self> {
        let (word, rest) = comment.trim_start_matches([' ', '\t']).split_once([' ', '\t'])?;
        let (name, text) = rest.trim_start_matches([' ', '\t']).split_once([' ', '\t']).unwrap_or((rest, ""));
        let text = text.trim_matches([' ', '\t']);
        match word {
            _ if !is_name(name) => None,
            "HELP" => Some(Self::Help(name, text)),
            "TYPE" => Some(Self::Type(name, text)),
            "UNIT" => Some(Self::Unit(name, text)),
            _ => None,
        }
    }
}

/// Reads a line that is no comment.
pub fn sample(line: &str, format: Format) -> Result<Sample<'_>, BadLine> {
    let name_end = line.find(['{', ' ', '\t']).ok_or(BadLine)?;
    let (name, after_name) = line.split_at(name_end);
    if !is_name(name) {
        return Err(BadLine);
    }
    let spaced = after_name.trim_start_matches([' ', '\t']);
    let (labels, rest) = match spaced.strip_prefix('{') {
        Some(inner) => {
            let end = closing_brace(inner).ok_or(BadLine)?;
            (&inner[..end], &inner[end + 1..])
        }
        None => ("", after_name),
    };
    let series = &line[..line.len() - rest.len()];
    let tail = tail(rest, format)?;
    Ok(Sample { series, name, labels, value: tail.value, t_ms: tail.t_ms, exemplar: tail.exemplar })
}

/// Reads what follows a series: its value, perhaps a time, and in OpenMetrics perhaps an exemplar.
pub fn tail(rest: &str, format: Format) -> Result<Tail<'_>, BadLine> {
    let rest = rest.trim_matches([' ', '\t']);
    // Most lines have a value and nothing else.
    let Some((word, more)) = rest.split_once([' ', '\t']) else {
        return Ok(Tail { value: value(rest).ok_or(BadLine)?, t_ms: None, exemplar: None });
    };
    let value = value(word).ok_or(BadLine)?;
    let (more, exemplar) = match more.split_once('#') {
        Some((more, text)) if format == Format::OpenMetrics => (more, Some(exemplar(text)?)),
        Some(_) => return Err(BadLine),
        None => (more, None),
    };
    let more = more.trim_matches([' ', '\t']);
    let t_ms = if more.is_empty() { None } else { Some(time(more, format)?) };
    Ok(Tail { value, t_ms, exemplar })
}

fn exemplar(text: &str) -> Result<Exemplar<'_>, BadLine> {
    let inner = text.trim_start_matches([' ', '\t']).strip_prefix('{').ok_or(BadLine)?;
    let end = closing_brace(inner).ok_or(BadLine)?;
    let mut words = inner[end + 1..].split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().and_then(self::value).ok_or(BadLine)?;
    let t_ms = words.next().map(|word| time(word, Format::OpenMetrics)).transpose()?;
    if words.next().is_some() {
        return Err(BadLine);
    }
    Ok(Exemplar { labels: &inner[..end], value, t_ms })
}

fn time(word: &str, format: Format) -> Result<i64, BadLine> {
    match format {
        Format::Text => word.parse().map_err(|_| BadLine),
        Format::OpenMetrics => {
            let seconds = value(word).filter(|seconds| seconds.abs() < SECONDS_MAX).ok_or(BadLine)?;
            Ok((seconds * 1000.0).round() as i64)
        }
    }
}

pub(super) fn value(word: &str) -> Option<f64> {
    let bytes = word.as_bytes();
    // Most values are counts; fifteen digits are always a float.
    if (1..=15).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit) {
        return Some(bytes.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0')) as f64);
    }
    match word {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads "infinity" and "nan", which the format does not know.
        _ if bytes.iter().any(|byte| byte.is_ascii_alphabetic() && *byte != b'e' && *byte != b'E') => None,
        _ => word.parse().ok(),
    }
}
