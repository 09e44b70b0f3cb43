//! Answers as JSON. Written by hand: a million samples would each be two values of a tree otherwise.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::query::promql::Answer;
use crate::store::sample::{Labels, Sample};

/// What stands before the data, and behind.
const OPENED: &str = "{\"status\":\"success\",\"data\":";
const CLOSED: &str = "}";
const TRUNCATED: &str = ",\"warnings\":[\"results truncated due to limit\"]";

/// `{"status":"success","data":…}`
pub(super) struct Data(String);

impl Data {
    pub fn of<T: Serialize>(data: &T) -> Self {
        // Only types of ours come here, and those can be written.
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        Self(format!("{OPENED}{data}{CLOSED}"))
    }

    /// A list of which more was found than was asked for says so.
    pub fn limited<T: Serialize>(data: &[T], limit: usize) -> Self {
        let mut this = Self::of(&data.get(..limit).unwrap_or(data));
        if data.len() > limit {
            this.warn();
        }
        this
    }

    fn warn(&mut self) {
        self.0.truncate(self.0.len() - CLOSED.len());
        self.0.push_str(TRUNCATED);
        self.0.push_str(CLOSED);
    }

    pub fn answer(answer: &Answer, limit: usize, stats: Option<&serde_json::Value>) -> Self {
        let mut out = OPENED.to_owned();
        let kind = match answer {
            Answer::Scalar(_) => "scalar",
            Answer::Text { .. } => "string",
            Answer::Vector(_) => "vector",
            Answer::Matrix(_) => "matrix",
        };
        out.push_str("{\"resultType\":\"");
        out.push_str(kind);
        out.push_str("\",\"result\":");
        match answer {
            Answer::Scalar(sample) => put_sample(&mut out, sample),
            Answer::Text { t_ms, text } => {
                out.push('[');
                put_time(&mut out, *t_ms);
                out.push(',');
                put_text(&mut out, text);
                out.push(']');
            }
            Answer::Vector(vector) => put_list(&mut out, vector.iter().take(limit), |out, (labels, sample)| {
                put_metric(out, labels);
                out.push_str(",\"value\":");
                put_sample(out, sample);
                out.push('}');
            }),
            Answer::Matrix(matrix) => put_list(&mut out, matrix.iter().take(limit), |out, series| {
                put_metric(out, &series.labels);
                out.push_str(",\"values\":");
                put_list(out, series.samples.iter(), put_sample);
                out.push('}');
            }),
        }
        if let Some(stats) = stats {
            out.push_str(&format!(",\"stats\":{stats}"));
        }
        out.push('}');
        out.push_str(CLOSED);
        let mut this = Self(out);
        let found = match answer {
            Answer::Scalar(_) | Answer::Text { .. } => 0,
            Answer::Vector(vector) => vector.len(),
            Answer::Matrix(matrix) => matrix.len(),
        };
        if found > limit {
            this.warn();
        }
        this
    }
}

impl IntoResponse for Data {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], Body::from(self.0)).into_response()
    }
}

fn put_list<T>(out: &mut String, items: impl Iterator<Item = T>, put: impl Fn(&mut String, T)) {
    out.push('[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        put(out, item);
    }
    out.push(']');
}

/// Opens an object; whoever puts the value closes it.
fn put_metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":{");
    for (place, (name, value)) in labels.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        put_text(out, name);
        out.push(':');
        put_text(out, value);
    }
    out.push('}');
}

fn put_sample(out: &mut String, sample: &Sample) {
    out.push('[');
    put_time(out, sample.t_ms);
    out.push_str(",\"");
    out.push_str(&number(sample.value));
    out.push_str("\"]");
}

/// Unix seconds, with milliseconds where there are any.
fn put_time(out: &mut String, t_ms: i64) {
    let (sign, ms) = (if t_ms < 0 { "-" } else { "" }, t_ms.unsigned_abs());
    out.push_str(&format!("{sign}{}", ms / 1000));
    if ms % 1000 != 0 {
        out.push_str(&format!(".{:03}", ms % 1000));
    }
}

fn put_text(out: &mut String, text: &str) {
    // A string can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

/// The shortest text that reads back; very large and small ones with an exponent of two digits or more, as Go writes it.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return number_with_exponent(value);
    }
    value.to_string()
}

/// As Go writes a float with the verb `e`.
pub(super) fn number_with_exponent(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        let cases =
            [(0.1, "0.1"), (100.0, "100"), (-0.0, "-0"), (1e21, "1e+21"), (1.5e-7, "1.5e-07"), (1e20, "100000000000000000000")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(number), ["NaN", "+Inf", "-Inf"]);
    }

    #[test]
    fn times_have_milliseconds_where_there_are_any() {
        for (t_ms, text) in [(0, "0"), (1_500, "1.500"), (-1_500, "-1.500"), (1_435_781_430_781, "1435781430.781")] {
            let mut out = String::new();
            put_time(&mut out, t_ms);
            assert_eq!(out, text);
        }
    }
}
