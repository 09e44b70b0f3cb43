//! Literal questions and answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sidelight_collector::query::promql::{Answer, DEPTH_MAX, Limits, OPERATORS_MAX, QueryError, Times, query};
use sidelight_collector::store::sample::{Labels, Sample, SeriesSamples, stale};

use crate::memory::Memory;

fn labels(text: &str) -> Labels {
    let mut all: Vec<(Arc<str>, Arc<str>)> =
        text.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect();
    all.sort();
    all.into()
}

/// A series with one value each ten seconds from 0 on; `_` leaves one out, `s` is the mark of an end.
fn series(text: &str, values: &str) -> SeriesSamples {
    let samples = values.split_whitespace().enumerate().filter(|(_, word)| *word != "_").map(|(place, word)| Sample {
        t_ms: place as i64 * 10_000,
        value: if word == "s" { stale() } else { word.parse().unwrap() },
    });
    SeriesSamples { labels: labels(text), samples: samples.collect() }
}

fn memory() -> Memory {
    Memory(vec![
        series("__name__=hits,code=200,job=a", "0 10 20 30 40 50 60 70 80 90 100"),
        series("__name__=hits,code=500,job=a", "0 0 0 1 1 2 2 2 3 3 0"),
        series("__name__=hits,code=200,job=b", "5 6 7 8 s _ _ _ _ _ _"),
        series("__name__=limit,job=a", "7 7 7 7 7 7 7 7 7 7 7"),
        series("__name__=h_bucket,le=1", "0 1 2 3 4 5 6 7 8 9 10"),
        series("__name__=h_bucket,le=2", "0 2 4 6 8 10 12 14 16 18 20"),
        series("__name__=h_bucket,le=+Inf", "0 2 4 6 8 10 12 14 16 18 20"),
    ])
}

/// Answers at 100 s, one line for each series.
async fn ask(text: &str) -> Vec<String> {
    lines(query(&memory(), text, Times::at(100_000), &Limits::default()).await)
}

async fn ask_range(text: &str, end_s: i64, step_s: i64) -> Vec<String> {
    let times = Times::range(0, end_s * 1000, step_s * 1000).unwrap();
    lines(query(&memory(), text, times, &Limits::default()).await)
}

fn at_most(samples_max: usize) -> Limits {
    let mut limits = Limits::default();
    limits.samples_max = samples_max;
    limits
}

fn lines(answer: Result<Answer, QueryError>) -> Vec<String> {
    let text = |labels: &Labels| {
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    match answer {
        Ok(Answer::Scalar(sample)) => vec![sample.value.to_string()],
        Ok(Answer::Text { text, .. }) => vec![text],
        Ok(Answer::Vector(vector)) => vector.iter().map(|(labels, s)| format!("{} {}", text(labels), s.value)).collect(),
        Ok(Answer::Matrix(matrix)) => matrix
            .iter()
            .map(|series| {
                let samples = series.samples.iter().map(|s| format!("{}@{}", s.value, s.t_ms / 1000));
                format!("{} {}", text(&series.labels), samples.collect::<Vec<_>>().join(" "))
            })
            .collect(),
        Err(error) => vec![format!("error: {error}")],
    }
}

#[tokio::test]
async fn selectors_take_the_newest_sample_that_is_no_end() {
    assert_eq!(ask("hits{code='200'}").await, ["{__name__=hits,code=200,job=a} 100"]);
    assert_eq!(ask("hits{code='200',job='b'} @ 30").await, ["{__name__=hits,code=200,job=b} 8"]);
    assert_eq!(ask("limit offset 100s").await, ["{__name__=limit,job=a} 7"]);
    assert_eq!(ask("limit offset 101s").await, Vec::<String>::new());
    assert_eq!(ask("timestamp(limit offset 5s)").await, ["{job=a} 90"]);
    assert_eq!(ask("limit[25s]").await, ["{__name__=limit,job=a} 7@80 7@90 7@100"]);
}

#[tokio::test]
async fn rates_are_extrapolated_and_know_resets() {
    assert_eq!(ask("rate(hits{code='200'}[50s])").await, ["{code=200,job=a} 1"]);
    assert_eq!(ask("increase(hits{code='500'}[30s])").await, ["{code=500,job=a} 1"]);
    assert_eq!(ask("resets(hits{code='500'}[1m])").await, ["{code=500,job=a} 1"]);
    assert_eq!(ask("irate(hits{code='200'}[1m])").await, ["{code=200,job=a} 1"]);
    assert_eq!(ask("delta(limit[1m])").await, ["{job=a} 0"]);
    assert_eq!(ask("sum_over_time(hits{code='500'}[20s])").await, ["{code=500,job=a} 6"]);
    assert_eq!(ask("last_over_time(limit[1m])").await, ["{__name__=limit,job=a} 7"]);
}

#[tokio::test]
async fn vectors_meet_by_their_labels() {
    assert_eq!(ask("hits - on(job) group_left() limit").await, ["{code=200,job=a} 93", "{code=500,job=a} -7"]);
    let error = ask("hits - on(job) limit").await;
    assert!(error[0].starts_with("error: multiple matches for labels: many-to-one"), "{error:?}");
    let error = ask("limit - on(job) hits").await;
    assert!(error[0].contains("on the right hand-side of the operation"), "{error:?}");
    assert_eq!(ask("hits > 50").await, ["{__name__=hits,code=200,job=a} 100"]);
    assert_eq!(ask("hits > bool 50").await, ["{code=200,job=a} 1", "{code=500,job=a} 0"]);
    assert_eq!(ask("hits and on(job) limit == 7").await.len(), 2);
    assert_eq!(ask("limit unless on(job) hits").await, Vec::<String>::new());
    assert_eq!(ask("limit or hits").await.len(), 3);
    assert_eq!(ask("1 + 2 * 3 ^ 2").await, ["19"]);
}

#[tokio::test]
async fn groups_are_aggregated() {
    assert_eq!(ask("sum by (job) (hits)").await, ["{job=a} 100"]);
    assert_eq!(ask("avg without (code) (hits)").await, ["{job=a} 50"]);
    assert_eq!(ask("topk(1, hits)").await, ["{__name__=hits,code=200,job=a} 100"]);
    assert_eq!(ask("quantile(0.5, hits)").await, ["{} 50"]);
    assert_eq!(ask("count_values('v', hits)").await, ["{v=100} 1", "{v=0} 1"]);
    assert_eq!(ask("stddev(hits)").await, ["{} 50"]);
}

#[tokio::test]
async fn quantiles_come_from_buckets() {
    assert_eq!(ask("histogram_quantile(0.75, h_bucket)").await, ["{} 1.5"]);
    assert_eq!(ask("histogram_quantile(1, rate(h_bucket[1m]))").await, ["{} 2"]);
}

#[tokio::test]
async fn labels_are_rewritten() {
    assert_eq!(ask("label_replace(limit, 'who', 'job-$1', 'job', '(.)')").await, ["{__name__=limit,job=a,who=job-a} 7"]);
    assert_eq!(ask("label_join(limit, 'who', '-', 'job', 'job')").await, ["{__name__=limit,job=a,who=a-a} 7"]);
}

#[tokio::test]
async fn ranges_have_a_value_for_each_step() {
    assert_eq!(ask_range("limit", 20, 10).await, ["{__name__=limit,job=a} 7@0 7@10 7@20"]);
    assert_eq!(ask_range("hits{job='b'}", 60, 20).await, ["{__name__=hits,code=200,job=b} 5@0 7@20"]);
    assert_eq!(ask_range("time()", 20, 10).await, ["{} 0@0 10@10 20@20"]);
    assert_eq!(ask_range("max_over_time(hits{code='500'}[1m:10s])", 60, 30).await, ["{code=500,job=a} 0@0 1@30 2@60"]);
    assert_eq!(ask_range("absent(hits{job='b'})", 60, 30).await, ["{job=b} 1@60"]);
}

#[tokio::test]
async fn what_is_wrong_or_too_much_is_told() {
    for bad in ["", "sum(", "rate(limit)", "limit[1m", "foo{a=~'('}", "1 + 'a'"] {
        assert!(ask(bad).await[0].starts_with("error: "), "{bad}");
    }
    let deep = format!("{}limit{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(ask(&deep).await, ["error: an expression may be nested 128 levels deep"]);
    assert!(Times::range(0, 11_000_000, 1000).is_err());
    assert!(Times::range(0, 10, 0).is_err());
    let limits = at_most(5);
    let answer = query(&memory(), "hits[1m]", Times::at(100_000), &limits).await;
    assert!(matches!(answer, Err(QueryError::TooManySamples(_))));
    let late = Limits::until(Some(Instant::now() - Duration::from_secs(1)));
    assert!(matches!(query(&memory(), "hits", Times::at(100_000), &late).await, Err(QueryError::Timeout)));
}

#[tokio::test]
async fn long_chains_do_not_end_the_process() {
    let longest = vec!["1"; OPERATORS_MAX + 1].join("+");
    assert_eq!(ask(&longest).await, ["2001"]);
    let longer = format!("{longest}+1");
    assert_eq!(ask(&longer).await, ["error: an expression may have 2000 operators; this one has 2001"]);
    let nested = format!("{}limit{}", "abs(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
    assert_eq!(ask(&nested).await, ["{job=a} 7"]);
    assert_eq!(ask(&format!("{}1", "-".repeat(OPERATORS_MAX))).await, ["1"]);
    let words = vec!["(limit)"; OPERATORS_MAX + 2].join("or");
    assert_eq!(ask(&words).await, ["error: an expression may have 2000 operators; this one has 2001"]);
    // What stands behind a remark or a string is code, whatever quotes are in those.
    for before in ["# \"\n", "# '\r", "`\\`", "'\\''", "\"`\""] {
        let nested = format!("{before}{}limit{}", "(".repeat(20_000), ")".repeat(20_000));
        assert_eq!(ask(&nested).await, ["error: an expression may be nested 128 levels deep"], "{before}");
    }
}

#[tokio::test]
async fn raw_strings_are_taken_as_they_are() {
    assert_eq!(ask(r"hits{code=~`\d00`,job='a'} > 50").await, ["{__name__=hits,code=200,job=a} 100"]);
    assert_eq!(ask(r#"`a\"b`"#).await, [r#"a\"b"#]);
    assert_eq!(ask(r#""`\"(" # ((" and `"#).await, [r#"`"("#]);
}

#[tokio::test]
async fn values_of_labels_and_series_do_not_grow_without_end() {
    let mut doubled = "limit".to_owned();
    for _ in 0..15 {
        doubled = format!("label_replace({doubled}, 'job', '$1$1', 'job', '(.*)')");
    }
    let error = "label_replace() would make a value of up to 16388 bytes; a label may have 16384";
    assert_eq!(ask(&doubled).await, [format!("error: {error}")]);
    let mut joined = "limit".to_owned();
    for _ in 0..15 {
        joined = format!("label_join({joined}, 'job', '', 'job', 'job')");
    }
    assert_eq!(ask(&joined).await, ["error: label_join() would make a value of up to 32768 bytes; a label may have 16384"]);

    // Ten values of one series make ten series of eleven steps; so do the versions of the other side.
    let limits = at_most(100);
    let times = Times::range(0, 100_000, 10_000).unwrap();
    let question = "count_values('value', hits{code='200',job='a'})";
    assert!(matches!(query(&memory(), question, times, &limits).await, Err(QueryError::TooManySamples(100))));
    let versions =
        Memory((0..11).map(|n| series(&format!("__name__=version,v={n}"), &format!("{}1 s", "_ ".repeat(n)))).collect());
    let question = "vector(1) * on() group_left(v) version";
    let told = query(&versions, question, times, &limits).await;
    assert!(matches!(told, Err(QueryError::TooManySamples(_))), "{told:?}");
    let question = "vector(1) * on() group_left() version";
    let limits = at_most(200);
    let told = lines(query(&versions, question, times, &limits).await);
    assert_eq!(told, ["{} 1@0 1@10 1@20 1@30 1@40 1@50 1@60 1@70 1@80 1@90 1@100"]);
}

#[tokio::test]
async fn times_may_be_as_far_away_as_they_can_be_told() {
    let times = Times::range(i64::MIN, i64::MAX, i64::MAX).unwrap();
    for question in ["vector(1)", "sum(limit) or vector(1)"] {
        let answer = query(&memory(), question, times, &Limits::default()).await.unwrap();
        assert!(matches!(&answer, Answer::Matrix(matrix) if matrix.len() == 1), "{question}: {answer:?}");
    }
    let windows = query(&memory(), "sum_over_time(vector(1)[1h:30m])", times, &Limits::default()).await;
    assert!(matches!(windows, Err(QueryError::TooManySamples(_))), "{windows:?}");
    let far = Times::at(9_000_000_000_000_000_000);
    assert_eq!(lines(query(&memory(), "predict_linear(vector(1)[1h:1m] @ -9e15, 1)", far, &Limits::default()).await), ["{} 1"]);
    assert_eq!(ask("sum_over_time(vector(1)[5m:290y] @ 9.1e15)").await, Vec::<String>::new());
}
