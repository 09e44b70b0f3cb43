//! The text that `/stats/prometheus` answers, as Envoy writes it.

use std::time::Instant;

use crate::metrics::{BOUNDS, Families, Histogram, Kind, Registry, Series, Value};

/// Content type of the text; Envoy names no version.
pub const CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Longest filter expression that is compiled.
const FILTER_BYTES_MAX: usize = 1024;

/// What the query string of `/stats/prometheus` asks for. Arguments that are not known are ignored.
#[derive(Debug, Default)]
pub struct Query {
    /// Leaves out what was never counted or set.
    pub used_only: bool,
    /// Keeps the families whose exposed name matches. Envoy matches its internal dotted name, which we do not have;
    /// an expression that cannot be read keeps everything.
    pub filter: Option<regex::Regex>,
    /// Keeps the others instead.
    pub invert_filter: bool,
}

impl Query {
    /// Reads a query string, without its question mark.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "usedonly" => query.used_only = true,
                "invert_filter" => query.invert_filter = true,
                "filter" => query.filter = filter(value),
                _ => {}
            }
        }
        query
    }

    fn wants(&self, family: &str) -> bool {
        let matches = self.filter.as_ref().map(|f| f.is_match(family));
        matches.is_none_or(|m| m != self.invert_filter)
    }
}

type Part = fn(&Series) -> &Histogram;

const HISTOGRAMS: [(&str, Part); 3] = [
    ("istio_request_bytes", |s| &s.request_bytes),
    ("istio_request_duration_milliseconds", |s| &s.duration_ms),
    ("istio_response_bytes", |s| &s.response_bytes),
];

/// Writes everything: counters, then gauges, then histograms.
#[must_use]
pub fn render(registry: &Registry, families: &Families, query: &Query) -> String {
    registry.expire(Instant::now());
    let series = registry.all();
    let all = || series.iter().map(AsRef::as_ref).chain(registry.overflow());
    let mut page = Page { text: String::new(), number: itoa::Buffer::new() };
    page.families(families, Kind::Counter, query);
    if query.wants("istio_requests_total") {
        page.requests(all());
    }
    page.families(families, Kind::Gauge, query);
    for (name, part) in HISTOGRAMS {
        if query.wants(name) {
            page.histograms(name, part, all());
        }
    }
    page.text
}

struct Page {
    text: String,
    number: itoa::Buffer,
}

impl Page {
    fn families(&mut self, families: &Families, kind: Kind, query: &Query) {
        for (name, samples) in families.read(kind) {
            let mut shown = samples.iter().filter(|s| s.used || !query.used_only).peekable();
            if shown.peek().is_none() || !query.wants(&name) {
                continue;
            }
            self.head(&name, if kind == Kind::Counter { "counter" } else { "gauge" });
            for sample in shown {
                self.push(&[&name, "{", &sample.labels, "} "]);
                match sample.value {
                    Value::Unsigned(n) => self.number(n),
                    Value::Signed(n) => self.number(n),
                }
            }
        }
    }

    fn requests<'a>(&mut self, series: impl Iterator<Item = &'a Series>) {
        for (i, series) in series.enumerate() {
            if i == 0 {
                self.head("istio_requests_total", "counter");
            }
            self.push(&["istio_requests_total{", series.labels(), "} "]);
            self.number(series.requests());
        }
    }

    fn histograms<'a>(&mut self, name: &str, part: Part, series: impl Iterator<Item = &'a Series>) {
        for (i, series) in series.enumerate() {
            if i == 0 {
                self.head(name, "histogram");
            }
            self.histogram(name, series.labels(), part(series));
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let snapshot = histogram.snapshot();
        let bounds = BOUNDS.iter().copied().chain(["+Inf"]);
        for (bound, count) in bounds.zip(snapshot.cumulative) {
            self.push(&[name, "_bucket{", labels, ",le=\"", bound, "\"} "]);
            self.number(count);
        }
        self.push(&[name, "_sum{", labels, "} "]);
        self.number(snapshot.sum);
        self.push(&[name, "_count{", labels, "} "]);
        self.number(snapshot.cumulative[BOUNDS.len()]);
    }

    fn head(&mut self, name: &str, kind: &str) {
        self.push(&["# TYPE ", name, " ", kind, "\n"]);
    }

    fn number(&mut self, n: impl itoa::Integer) {
        self.text.push_str(self.number.format(n));
        self.text.push('\n');
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }
}

fn filter(encoded: &str) -> Option<regex::Regex> {
    let expression = percent_decode(encoded);
    let short = expression.len() <= FILTER_BYTES_MAX;
    if short { regex::Regex::new(&expression).ok() } else { None }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, hex_byte(tail)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(tail: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}
