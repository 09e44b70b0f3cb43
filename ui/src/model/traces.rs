//! The list of traces: what is searched for, and where each trace stands in the picture of durations over time.

use sidelight_api::trace::{TraceService, TraceSummary};

use super::view::{Query, View};

/// Traces that one search asks for: the most that the collector gives.
pub const TRACES_MAX: usize = 200;
/// Steps of the picture's scale for each power of ten.
const STEPS: [i64; 2] = [1, 3];

/// The search field, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    pub service: Option<String>,
    pub operation: Option<String>,
    pub min: Option<String>,
    pub max: Option<String>,
    /// `key=value` or `key`.
    pub tags: Vec<String>,
    pub errors: bool,
}

impl Search {
    /// Words are joined by “and”; quotes keep spaces together.
    ///
    /// # Errors
    /// The first word that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut search = Self::default();
        for word in words(text) {
            match word.split_once(':') {
                Some(("service" | "svc", value)) => search.service = filled(value),
                Some(("op" | "operation", value)) => search.operation = filled(value),
                Some(("min", value)) if is_duration(value) => search.min = filled(value),
                Some(("max", value)) if is_duration(value) => search.max = filled(value),
                Some(("tag", value)) if !value.is_empty() => search.tags.push(value.to_owned()),
                None if word == "err" => search.errors = true,
                _ => return Err(word),
            }
        }
        Ok(search)
    }

    /// The request that answers it, in the window that the reader looks at.
    pub fn request(&self, view: &View) -> String {
        let mut query = Query::default();
        let options =
            [("service", &self.service), ("operation", &self.operation), ("minDuration", &self.min), ("maxDuration", &self.max)];
        for (name, value) in options {
            if let Some(value) = value {
                query.put(name, value);
            }
        }
        if !self.tags.is_empty() {
            query.put("tags", &self.tags.join(" and "));
        }
        if self.errors {
            query.put("errors", "true");
        }
        query.put("duration", &view.window_s.to_string());
        if let Some(time) = view.query_time {
            query.put("queryTime", &time.to_string());
        }
        query.put("limit", &TRACES_MAX.to_string());
        format!("/api/traces{}", query.finish())
    }

    /// Back to words.
    pub fn text(&self) -> String {
        let mut words = Vec::new();
        for (name, value) in [("service", &self.service), ("op", &self.operation), ("min", &self.min), ("max", &self.max)] {
            words.extend(value.as_ref().map(|value| quoted(name, value)));
        }
        words.extend(self.tags.iter().map(|tag| quoted("tag", tag)));
        words.extend(self.errors.then(|| "err".to_owned()));
        words.join(" ")
    }
}

fn quoted(name: &str, value: &str) -> String {
    if value.contains(char::is_whitespace) { format!("{name}:\"{value}\"") } else { format!("{name}:{value}") }
}

fn filled(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// As the collector reads them, so that a typing error shows before it is sent.
fn is_duration(text: &str) -> bool {
    let units = ["us", "µs", "ms", "s", "m", "h", ""];
    units.iter().any(|unit| text.strip_suffix(unit).is_some_and(|number| number.parse::<f64>().is_ok_and(|number| number >= 0.0)))
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A text that is a trace id as a whole: it opens the trace instead of searching.
pub fn trace_id(text: &str) -> Option<&str> {
    let text = text.trim();
    (matches!(text.len(), 16 | 32) && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

/// Whether a trace touches one of the namespaces; without any chosen, all do.
pub fn touches(trace: &TraceSummary, namespaces: &[String]) -> bool {
    let is_in = |service: &TraceService| namespace(&service.service).is_some_and(|own| namespaces.iter().any(|n| n == own));
    namespaces.is_empty() || trace.services.iter().any(is_in)
}

/// Proxies name their service `reviews.bookinfo`.
pub fn namespace(service: &str) -> Option<&str> {
    service.split_once('.').map(|(_, namespace)| namespace)
}

pub fn short_service(service: &str) -> &str {
    service.split_once('.').map_or(service, |(name, _)| name)
}

/// Envoy names a span `host:port/path`, and that of a proxy's own call `router CLUSTER egress`: the path says more than
/// the host, and the host stands beside it anyway.
pub fn short_operation(name: &str) -> &str {
    if name.starts_with("router outbound|") {
        return "router";
    }
    match name.find('/') {
        Some(at) if at > 0 && name[..at].contains(':') && !name[..at].contains(' ') => &name[at..],
        _ => name,
    }
}

/// The service with the greatest part of the critical path, and that part in percent.
pub fn slowest(trace: &TraceSummary) -> Option<(&TraceService, f64)> {
    let all: i64 = trace.services.iter().map(|service| service.critical_us).sum();
    let most = trace.services.iter().max_by_key(|service| service.critical_us)?;
    (all > 0).then(|| (most, most.critical_us as f64 / all as f64 * 100.0))
}

/// Of sorted durations, the one that `part` of them do not exceed.
pub fn quantile(sorted_us: &[i64], part: f64) -> Option<i64> {
    let last = sorted_us.len().checked_sub(1)?;
    sorted_us.get(((sorted_us.len() as f64 * part).ceil() as usize).saturating_sub(1).min(last)).copied()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Started,
    Duration,
    Spans,
    Services,
    Errors,
}

/// Greatest first; of equals the newest.
pub fn sort(traces: &mut [TraceSummary], column: Column) {
    let key = |trace: &TraceSummary| match column {
        Column::Started => trace.start_us,
        Column::Duration => trace.duration_us,
        Column::Spans => trace.spans as i64,
        Column::Services => trace.services.len() as i64,
        Column::Errors => trace.errors as i64,
    };
    traces.sort_by(|a, b| key(b).cmp(&key(a)).then(b.start_us.cmp(&a.start_us)).then(a.trace_id.cmp(&b.trace_id)));
}

/// Where durations over time go on the screen; durations stand on a logarithmic scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scatter {
    pub from_us: i64,
    pub to_us: i64,
    pub low_us: i64,
    pub high_us: i64,
    pub width: f64,
    pub height: f64,
}

impl Scatter {
    /// Whole steps around all durations.
    pub fn new(window_us: (i64, i64), durations_us: impl Iterator<Item = i64> + Clone, size: (f64, f64)) -> Self {
        let least = durations_us.clone().min().unwrap_or(1_000).max(1);
        let most = durations_us.max().unwrap_or(1_000_000).max(least + 1);
        let low_us = ladder().take_while(|step| *step <= least).last().unwrap_or(1);
        let high_us = ladder().find(|step| *step > most && *step > low_us).unwrap_or(i64::MAX);
        Self { from_us: window_us.0, to_us: window_us.1, low_us, high_us, width: size.0, height: size.1 }
    }

    pub fn x(&self, at_us: i64) -> f64 {
        let span = (self.to_us - self.from_us).max(1) as f64;
        ((at_us - self.from_us) as f64 / span * self.width).clamp(0.0, self.width)
    }

    pub fn y(&self, duration_us: i64) -> f64 {
        let log = |us: i64| (us.max(1) as f64).ln();
        let part = (log(duration_us) - log(self.low_us)) / (log(self.high_us) - log(self.low_us));
        self.height - (part * self.height).clamp(0.0, self.height)
    }

    pub fn time_at(&self, x: f64) -> i64 {
        self.from_us + ((self.to_us - self.from_us) as f64 * (x / self.width).clamp(0.0, 1.0)) as i64
    }

    pub fn duration_at(&self, y: f64) -> i64 {
        let part = 1.0 - (y / self.height).clamp(0.0, 1.0);
        let (low, high) = ((self.low_us as f64).ln(), (self.high_us as f64).ln());
        (low + (high - low) * part).exp().round() as i64
    }

    /// The trace whose mark is nearest to a place, if one is within reach.
    pub fn nearest<'a>(&self, traces: &'a [TraceSummary], (x, y): (f64, f64), reach: f64) -> Option<&'a TraceSummary> {
        let distance = |trace: &TraceSummary| (self.x(trace.start_us) - x).hypot(self.y(trace.duration_us) - y);
        let near = traces.iter().map(|trace| (distance(trace), trace)).filter(|(distance, _)| *distance <= reach);
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, trace)| trace)
    }

    /// The lines of the grid, shortest first.
    pub fn ticks(&self) -> Vec<i64> {
        ladder().skip_while(|step| *step < self.low_us).take_while(|step| *step <= self.high_us).collect()
    }

    /// How many good and failed traces lie in each of `bars` equal stretches of the scale, from the bottom.
    pub fn histogram<'a>(&self, traces: impl Iterator<Item = &'a TraceSummary>, bars: usize) -> Vec<(u64, u64)> {
        let mut counts = vec![(0, 0); bars];
        for trace in traces {
            let part = 1.0 - self.y(trace.duration_us) / self.height;
            let bar = ((part * bars as f64) as usize).min(bars.saturating_sub(1));
            if let Some((good, failed)) = counts.get_mut(bar) {
                *(if trace.errors > 0 { failed } else { good }) += 1;
            }
        }
        counts
    }
}

/// 1 µs, 3 µs, 10 µs … some days.
fn ladder() -> impl Iterator<Item = i64> {
    (0..12).flat_map(|power| STEPS.map(|step| step * 10_i64.pow(power)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trace(id: &str, start_us: i64, duration_us: i64, errors: u64) -> TraceSummary {
        TraceSummary { trace_id: id.to_owned(), start_us, duration_us, errors, ..TraceSummary::default() }
    }

    #[test]
    fn a_search_becomes_a_request() {
        let search = Search::parse(r#"service:reviews.bookinfo op:"GET /x" min:10ms tag:http.method=GET tag:error err"#).unwrap();
        let view = View { window_s: 600, query_time: Some(1_700_000_000), ..View::default() };
        assert_eq!(
            search.request(&view),
            "/api/traces?service=reviews.bookinfo&operation=GET%20/x&minDuration=10ms&tags=http.method%3DGET%20and%20error\
             &errors=true&duration=600&queryTime=1700000000&limit=200"
        );
        assert_eq!(Search::parse(&search.text()).unwrap(), search);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(Search::parse("service:a min:soon"), Err("min:soon".to_owned()));
        assert_eq!(Search::parse("reviews"), Err("reviews".to_owned()));
        assert_eq!(Search::parse(""), Ok(Search::default()));
        assert_eq!(trace_id(" 8f3c1a6be02d4471 "), Some("8f3c1a6be02d4471"));
        assert_eq!(trace_id("8f3c"), None);
    }

    #[test]
    fn names_are_shortened_only_where_nothing_is_lost() {
        assert_eq!(short_operation("reviews.bookinfo.svc.cluster.local:9080/reviews/*"), "/reviews/*");
        assert_eq!(short_operation("router outbound|9080||reviews.bookinfo.svc.cluster.local; egress"), "router");
        assert_eq!(short_operation("GET /reviews"), "GET /reviews");
        assert_eq!(short_operation("/reviews"), "/reviews");
        assert_eq!((short_service("reviews.bookinfo"), namespace("reviews")), ("reviews", None));
    }

    #[test]
    fn the_scale_holds_all_durations() {
        let durations = [900, 4_000, 250_000];
        let scatter = Scatter::new((0, 60_000_000), durations.into_iter(), (600.0, 200.0));
        assert_eq!((scatter.low_us, scatter.high_us), (300, 300_000));
        assert_eq!(scatter.ticks(), [300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000]);
        assert_eq!((scatter.y(300), scatter.y(300_000)), (200.0, 0.0));
        assert_eq!(scatter.duration_at(scatter.y(4_000)), 4_000);
        assert_eq!(scatter.time_at(scatter.x(30_000_000)), 30_000_000);
        let traces = [trace("a", 0, 900, 0), trace("b", 0, 250_000, 1)];
        let at = (scatter.x(0) + 3.0, scatter.y(250_000));
        assert_eq!(scatter.nearest(&traces, at, 12.0).map(|trace| trace.trace_id.as_str()), Some("b"));
        assert_eq!(scatter.nearest(&traces, (300.0, 100.0), 12.0), None);
        assert_eq!(scatter.histogram(traces.iter(), 3), [(1, 0), (0, 0), (0, 1)]);
    }

    #[test]
    fn one_duration_alone_has_a_scale() {
        let scatter = Scatter::new((0, 1), [1_000].into_iter(), (10.0, 10.0));
        assert_eq!((scatter.low_us, scatter.high_us), (1_000, 3_000));
        assert_eq!(Scatter::new((0, 1), [0].into_iter(), (10.0, 10.0)).low_us, 1);
    }

    #[test]
    fn the_slowest_stand_first() {
        let mut traces = vec![trace("a", 1, 10, 0), trace("b", 2, 30, 0), trace("c", 3, 30, 2)];
        sort(&mut traces, Column::Duration);
        assert_eq!(traces.iter().map(|trace| trace.trace_id.as_str()).collect::<String>(), "cba");
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), Some(2));
        assert_eq!(quantile(&[1, 2, 3, 4], 0.95), Some(4));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
