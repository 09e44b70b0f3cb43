//! The same questions to both; every answer must be the same, and so must be the kind of every error.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use sidelight_collector::query::promql::{Answer, Limits, QueryError, Select, Source, Times, query};
use sidelight_collector::store::sample::{Labels, SeriesSamples};

use crate::expressions::Expressions;
use crate::prometheus::Prometheus;
use crate::samples::{COUNT, INTERVAL_MS, Random, START_MS, generate};

/// Expressions of one run.
const EXPRESSIONS: u64 = 2_000;
/// How far two numbers may differ: they are sums in another order.
const RELATIVE: f64 = 1e-9;

struct Memory(Vec<SeriesSamples>);

#[async_trait]
impl Source for Memory {
    async fn select(&self, select: &Select, _samples_max: usize) -> Result<Vec<SeriesSamples>, QueryError> {
        let fits = |labels: &Labels| {
            let value = |name: &str| labels.iter().find(|(known, _)| **known == *name).map_or("", |(_, value)| value);
            select.matchers.iter().all(|matcher| matcher.matches(value(&matcher.name)))
        };
        let within = |series: &SeriesSamples| {
            let samples = series.samples.iter().filter(|s| (select.from_ms..=select.to_ms).contains(&s.t_ms));
            SeriesSamples { labels: series.labels.clone(), samples: samples.copied().collect() }
        };
        let found = self.0.iter().filter(|series| fits(&series.labels)).map(within);
        Ok(found.filter(|series| !series.samples.is_empty()).collect())
    }
}

/// Series by their labels, samples by their time; scalars have no labels.
pub type Comparable = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

fn ours(answer: Answer) -> Comparable {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_expressions_have_the_answers_of_prometheus() {
    let prometheus = Prometheus::start().await;
    let memory = Memory(generate(START_MS));
    prometheus.fill(&memory.0).await;
    let (mut failures, mut errors, mut empty) = (Vec::new(), 0, 0);
    for seed in 1..=EXPRESSIONS {
        let depth = 1 + (seed % 3) as usize;
        let expression = Expressions::new(seed).vector(depth);
        let mut random = Random::new(seed);
        let at_ms = START_MS + random.below(COUNT as usize) as i64 * INTERVAL_MS + random.below(15_000) as i64;
        let is_range = seed % 2 == 0;
        let (answer, expected) = if is_range {
            let step_ms = [15_000, 7_000, 60_000, 240_000][random.below(4)];
            let end_ms = at_ms + 10 * step_ms;
            let times = Times::range(at_ms, end_ms, step_ms).unwrap();
            let parameters =
                [("query", expression.clone()), ("start", seconds(at_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))];
            let expected = prometheus.ask("/api/v1/query_range", &parameters).await;
            (query(&memory, &expression, times, &Limits::default()).await, expected)
        } else {
            let expected = prometheus.ask("/api/v1/query", &[("query", expression.clone()), ("time", seconds(at_ms))]).await;
            (query(&memory, &expression, Times::at(at_ms), &Limits::default()).await, expected)
        };
        let problem = match (answer, expected) {
            (Ok(answer), Ok(data)) => {
                let (ours, theirs) = (ours(answer), theirs(&data));
                empty += usize::from(theirs.is_empty());
                difference(&ours, &theirs, expression.contains("topk") || expression.contains("bottomk"))
            }
            (Err(error), Err(expected)) => {
                errors += 1;
                (!expected.starts_with(kind(&error))).then(|| format!("ours {error}, theirs {expected}"))
            }
            (Ok(_), Err(expected)) => Some(format!("ours has an answer, theirs: {expected}")),
            (Err(error), Ok(_)) => Some(format!("ours: {error}; theirs has an answer")),
        };
        if let Some(problem) = problem {
            failures.push(format!("#{seed} {expression}\n  {}", problem.chars().take(600).collect::<String>()));
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
    let prometheus = Prometheus::start().await;
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

pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
