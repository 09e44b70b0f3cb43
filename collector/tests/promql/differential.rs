//! The same questions to both; every answer must be the same, and so must be the kind of every error.

use std::collections::BTreeMap;

use serde_json::Value;
use sidelight_collector::query::promql::{Answer, Limits, QueryError, Times, query};
use sidelight_collector::store::sample::Labels;

use crate::expressions::Expressions;
use crate::memory::Memory;
use crate::samples::{COUNT, INTERVAL_MS, Random, START_MS, generate};
use crate::support::prometheus::Prometheus;

/// Expressions of one run.
const EXPRESSIONS: u64 = 2_000;
/// How far two numbers may differ: they are sums in another order.
const RELATIVE: f64 = 1e-9;

/// Series by their labels, samples by their time; scalars have no labels.
pub type Comparable = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

pub fn ours(answer: Answer) -> Comparable {
    let text = |labels: &Labels| labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    match answer {
        Answer::Scalar(sample) => BTreeMap::from([(Vec::new(), vec![(sample.t_ms, sample.value)])]),
        Answer::Text { .. } => BTreeMap::new(),
        Answer::Vector(vector) => vector.iter().map(|(labels, s)| (text(labels), vec![(s.t_ms, s.value)])).collect(),
        Answer::Matrix(matrix) => matrix
            .iter()
            .map(|series| (text(&series.labels), series.samples.iter().map(|s| (s.t_ms, s.value)).collect()))
            .collect(),
    }
}

pub fn theirs(data: &Value) -> Comparable {
    let sample = |pair: &Value| {
        let value = match pair[1].as_str().unwrap() {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            other => other.parse().unwrap(),
        };
        ((pair[0].as_f64().unwrap() * 1000.0).round() as i64, value)
    };
    if data["resultType"] == "scalar" {
        return BTreeMap::from([(Vec::new(), vec![sample(&data["result"])])]);
    }
    let series = data["result"].as_array().unwrap().iter().map(|series| {
        let labels = series["metric"].as_object().unwrap();
        let labels = labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let samples = match series.get("values") {
            Some(values) => values.as_array().unwrap().iter().map(sample).collect(),
            None => vec![sample(&series["value"])],
        };
        (labels, samples)
    });
    series.collect()
}

fn is_same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
}

/// Where two answers differ first.
pub fn difference(ours: &Comparable, theirs: &Comparable, is_ranked: bool) -> Option<String> {
    if is_ranked {
        // Of equals, either may be kept.
        let all = |answer: &Comparable| {
            let mut all: Vec<(i64, f64)> = answer.values().flatten().copied().collect();
            all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            all
        };
        let (ours, theirs) = (all(ours), all(theirs));
        let is_equal = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.0 == b.0 && is_same(a.1, b.1));
        return (!is_equal).then(|| format!("ranked: {ours:?}\n  they: {theirs:?}"));
    }
    for labels in ours.keys().chain(theirs.keys()) {
        let (Some(a), Some(b)) = (ours.get(labels), theirs.get(labels)) else {
            return Some(format!("{labels:?}: ours {:?}, theirs {:?}", ours.get(labels), theirs.get(labels)));
        };
        if a.len() != b.len() {
            return Some(format!("{labels:?}: ours has {} samples, theirs {}\n  {a:?}\n  {b:?}", a.len(), b.len()));
        }
        if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a.0 != b.0 || !is_same(a.1, b.1)) {
            return Some(format!("{labels:?}: ours {a:?}, theirs {b:?}"));
        }
    }
    None
}

fn kind(error: &QueryError) -> &'static str {
    match error {
        QueryError::BadData(_) => "bad_data",
        _ => "execution",
    }
}

/// What both say to a question.
enum Told {
    Something,
    Nothing,
    Error,
}

/// Asks both, at one time or over ten steps from then on; how they differ.
async fn compared(
    memory: &Memory,
    prometheus: &Prometheus,
    expression: &str,
    at_ms: i64,
    step_ms: Option<i64>,
) -> Result<Told, String> {
    let (times, path, when) = match step_ms {
        Some(step_ms) => {
            let end_ms = at_ms + 10 * step_ms;
            let when = vec![("start", seconds(at_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))];
            (Times::range(at_ms, end_ms, step_ms).unwrap(), "/api/v1/query_range", when)
        }
        None => (Times::at(at_ms), "/api/v1/query", vec![("time", seconds(at_ms))]),
    };
    let parameters = [vec![("query", expression.to_owned())], when].concat();
    let expected = prometheus.ask(path, &parameters).await;
    let answer = query(memory, expression, times, &Limits::default()).await;
    let (told, problem) = match (answer, expected) {
        (Ok(answer), Ok(data)) => {
            let (ours, theirs) = (ours(answer), theirs(&data));
            let is_ranked = expression.contains("topk") || expression.contains("bottomk");
            let told = if theirs.is_empty() { Told::Nothing } else { Told::Something };
            (told, difference(&ours, &theirs, is_ranked))
        }
        (Err(error), Err(expected)) => {
            (Told::Error, (!expected.starts_with(kind(&error))).then(|| format!("ours {error}, theirs {expected}")))
        }
        (Ok(_), Err(expected)) => (Told::Error, Some(format!("ours has an answer, theirs: {expected}"))),
        (Err(error), Ok(_)) => (Told::Error, Some(format!("ours: {error}; theirs has an answer"))),
    };
    problem.map_or(Ok(told), |problem| Err(problem.chars().take(600).collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_expressions_have_the_answers_of_prometheus() {
    let prometheus = Prometheus::empty().await;
    let memory = Memory(generate(START_MS));
    prometheus.fill(&memory.0).await;
    let (mut failures, mut errors, mut empty) = (Vec::new(), 0, 0);
    for seed in 1..=EXPRESSIONS {
        let depth = 1 + (seed % 3) as usize;
        let expression = Expressions::new(seed).vector(depth);
        let mut random = Random::new(seed);
        let at_ms = START_MS + random.below(COUNT as usize) as i64 * INTERVAL_MS + random.below(15_000) as i64;
        let step_ms = (seed % 2 == 0).then(|| [15_000, 7_000, 60_000, 240_000][random.below(4)]);
        match compared(&memory, &prometheus, &expression, at_ms, step_ms).await {
            Ok(Told::Something) => {}
            Ok(Told::Nothing) => empty += 1,
            Ok(Told::Error) => errors += 1,
            Err(problem) => failures.push(format!("#{seed} {expression}\n  {problem}")),
        }
    }
    println!("{EXPRESSIONS} expressions, {errors} errors, {empty} empty answers");
    assert!(
        failures.is_empty(),
        "{} of {EXPRESSIONS} differ:\n{}",
        failures.len(),
        failures[..failures.len().min(12)].join("\n")
    );
    assert!(errors + empty < EXPRESSIONS as usize * 2 / 3, "too few questions have an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_angle_of_two_is_that_of_prometheus_but_for_the_name() {
    let prometheus = Prometheus::empty().await;
    let memory = Memory(generate(START_MS));
    prometheus.fill(&memory.0).await;
    let at_ms = START_MS + 100 * INTERVAL_MS;
    for expression in ["temperature atan2 -3", "2 atan2 3", "requests_total atan2 on (job) group_left () limit"] {
        let data = prometheus.ask("/api/v1/query", &[("query", expression.to_owned()), ("time", seconds(at_ms))]).await.unwrap();
        let mut expected = Comparable::new();
        for (mut labels, samples) in theirs(&data) {
            labels.retain(|(name, _)| name != "__name__");
            expected.insert(labels, samples);
        }
        let answer = query(&memory, expression, Times::at(at_ms), &Limits::default()).await.unwrap();
        assert_eq!(difference(&ours(answer), &expected, false), None, "{expression}");
        assert!(!expected.is_empty());
    }
}

/// What the generator does not make, and what is easily got wrong.
const SELDOM: &[&str] = &[
    // Sub-queries at a fixed time, moved, and within one another.
    "sum_over_time(temperature[5m:1m] @ 1790001200)",
    "sum_over_time(temperature[5m:1m] @ 1790001200 offset 2m)",
    "sum_over_time(temperature[5m:1m] offset -2m)",
    "max_over_time(rate(requests_total[1m])[5m:30s] @ end())",
    "max_over_time(rate(requests_total[1m] @ start())[5m:30s])",
    "min_over_time(max_over_time(temperature[1m:15s] offset -1m)[4m:45s] offset 1m)",
    "count_over_time((temperature > 20)[10m:17s])",
    "rate((sum by (job) (requests_total))[5m:15s] @ start())",
    "avg_over_time(vector(time())[3m:20s])",
    "temperature @ 1790001200 offset -3m",
    "rate(requests_total[2m] @ 1790001200 offset -1m)",
    // Labels of the other side.
    "requests_total * on (job) group_left (le) (sum by (job, le) (latency_bucket{le=\"5\"}))",
    "requests_total * on (job) group_left (instance) limit",
    "limit * on (job) group_right (le, code) requests_total",
    "requests_total > bool on (job) group_left (le) (sum by (job, le) (latency_bucket{le=\"1\"}))",
    "requests_total < on (job) group_left (le) (sum by (job, le) (latency_bucket{le=\"25\"}))",
    "limit == on (job) group_right () (limit)",
    "limit / ignoring (code, instance) group_right requests_total",
    "temperature + on (job, instance) temperature",
    "{__name__=~\"limit|temperature\"} > on (job) limit",
    "{__name__=~\"limit|latency_count\"} + on (job, __name__) latency_count",
    "requests_total * on (job) limit",
    "limit * on (job) requests_total",
    // Sets.
    "limit or temperature or requests_total",
    "limit or on (job) requests_total",
    "(limit{job=\"web\"} or on () vector(1)) unless on () temperature{job=\"nowhere\"}",
    "requests_total and on (job, instance) (temperature > 20) or limit",
    "vector(1) or on () limit",
    "absent(nothing{job=\"a\",job=\"b\",code=\"c\"})",
    "absent((nothing{job=\"a\"}))",
    "absent(nothing{job=\"a\"} @ 1790000000)",
    "absent(sum(nothing))",
    "absent_over_time(nothing{job=~\"a\",code=\"c\"}[5m])",
    "timestamp((temperature))",
    "timestamp(temperature offset 30s)",
    // Histograms whose bounds are odd; not NaN, of which the order is left to chance there.
    "histogram_quantile(0.9, label_replace(latency_bucket, \"le\", \"many\", \"le\", \"25\"))",
    "histogram_quantile(0.9, label_replace(latency_bucket, \"le\", \"\", \"le\", \"25\"))",
    "histogram_quantile(0.9, label_replace(latency_bucket, \"le\", \"-5\", \"le\", \"0.5\"))",
    "histogram_quantile(0.1, label_replace(latency_bucket, \"le\", \"-5\", \"le\", \"0.5\"))",
    "histogram_quantile(0.9, label_replace(latency_bucket, \"le\", \"5.0\", \"le\", \"10\"))",
    "histogram_quantile(0.9, label_replace(latency_bucket, \"le\", \"inf\", \"le\", \"[+]Inf\"))",
    "histogram_quantile(NaN, latency_bucket)",
    "histogram_quantile(0.9, latency_bucket * 0)",
    "histogram_quantile(0.9, latency_bucket{le=\"+Inf\"})",
    "histogram_quantile(scalar(limit{job=\"web\"}) / 10, latency_bucket)",
    // Names that are rewritten.
    "label_replace(limit, \"job\", \"$1$1-${1}x-$2\", \"job\", \"(w)eb|(.*)\")",
    "label_replace(limit, \"who\", \"${name}!\", \"job\", \"(?P<name>.).*\")",
    "label_replace(limit, \"__name__\", \"other\", \"job\", \".*\")",
    "label_replace(limit, \"job\", \"\", \"job\", \"web\")",
    "label_replace(limit, \"job\", \"same\", \"job\", \".*\")",
    "label_replace(limit, \"who\", \"$1\", \"missing\", \"(.*)\")",
    "label_join(limit, \"job\", \"-\", \"job\", \"missing\", \"job\")",
    "label_join(limit, \"job\", \"-\")",
    // Aggregations.
    "count_values without (instance) (\"value\", temperature > 25)",
    "count_values(\"job\", limit)",
    "quantile(scalar(limit{job=\"web\"}) / 10, temperature)",
    "topk(scalar(limit{job=\"web\"}) - 5.5, temperature)",
    "bottomk(-1, temperature)",
    "topk(NaN, temperature)",
    "sum by (job) ({__name__=~\"limit|temperature\"})",
    "sum without (job) ({__name__=~\"limit|temperature\"})",
    "stddev(odd)",
    "avg({__name__=~\"odd|limit\"})",
    "group by (nothing) (limit)",
    // Scalars.
    "scalar(limit)",
    "vector(scalar(limit{job=\"web\"}))",
    "clamp(temperature, 30, 10)",
    "clamp_min(odd, NaN)",
    "round(temperature, 0.25)",
    "round(temperature, 0)",
    "temperature % -7",
    "-temperature ^ 2",
    "2 ^ -temperature",
    "1 > bool 2",
    "NaN == bool NaN",
    "days_in_month(vector(1709210000)) + day_of_year(vector(1709210000))",
    "hour(vector(-1))",
    "sort_desc(temperature)",
    "predict_linear(temperature[5m], 60) - predict_linear(temperature[5m] offset 1m, 60)",
    "deriv(temperature[5m] @ end())",
    "idelta(temperature[5m]) + irate(temperature[5m])",
    "resets(temperature[10m]) + changes(odd[10m])",
    "quantile_over_time(NaN, temperature[5m])",
    "holt_winters(temperature[5m], 0, 0.5)",
    "{job=\"web\"}",
    "rate({job=\"web\"}[5m])",
    "last_over_time({job=\"web\"}[5m])",
    "temperature{job!=\"\"}",
    "temperature{nothing=\"\"}",
    "temperature{job=~\"\"}",
    "{job=~\".*\"}",
    "sum(rate(requests_total[5m])) # \" a remark \n / 2",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seldom_asked_has_the_answers_of_prometheus() {
    let prometheus = Prometheus::empty().await;
    let memory = Memory(generate(START_MS));
    prometheus.fill(&memory.0).await;
    let mut failures = Vec::new();
    for expression in SELDOM {
        for is_range in [false, true] {
            let at_ms = START_MS + 100 * INTERVAL_MS;
            let problem = compared(&memory, &prometheus, expression, at_ms, is_range.then_some(45_000)).await.err();
            failures.extend(problem.map(|problem| format!("range {is_range} {expression}\n  {problem}")));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
