//! `GET /federate?match[]=…`: the newest sample of each series that is asked for, for another Prometheus to scrape.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::Refusal;
use crate::clock::now_ms;
use crate::query::params::decode_pair;
use crate::store::sample::matcher::parse_selector;
use crate::store::sample::{NAME, is_stale};
use crate::store::{Labels, Sample, SampleQuery, SeriesSamples, Store, StoreError};

/// How old the newest sample may be, as everywhere in Prometheus.
const LOOKBACK_MS: i64 = 5 * 60 * 1000;
/// Selectors of one request.
const SELECTORS_MAX: usize = 64;
/// Samples that are looked at for one answer.
const SAMPLES_MAX: usize = 5_000_000;

pub fn routes(store: Arc<dyn Store>) -> Router {
    Router::new().route("/federate", get(federate)).with_state(store)
}

async fn federate(State(store): State<Arc<dyn Store>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> = query.split('&').map(decode_pair).collect();
    let selectors: Vec<&str> = pairs.iter().filter(|(name, _)| name == "match[]").map(|(_, value)| value.as_str()).collect();
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX {
        return Err(Refusal::bad_request(format!("name 1 to {SELECTORS_MAX} selectors, each as match[]=SELECTOR")));
    }
    let to_ms = now_ms();
    let mut series: Vec<SeriesSamples> = Vec::new();
    for selector in selectors {
        let matchers = parse_selector(selector).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let query = SampleQuery { samples_max: SAMPLES_MAX, ..SampleQuery::new(matchers, to_ms - LOOKBACK_MS, to_ms) };
        match store.select(&query).await {
            // Only the newest is told; of all selectors together the others would be too much to hold.
            Ok(found) => series.extend(found.into_iter().map(newest)),
            Err(error @ StoreError::TooManySamples(_)) => return Err(Refusal::bad_request(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series.dedup_by(|a, b| a.labels == b.labels);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&mut series)).into_response())
}

fn newest(mut series: SeriesSamples) -> SeriesSamples {
    series.samples = series.samples.last().copied().into_iter().collect();
    series
}

/// One metric after the other, as the format wants it.
fn text(series: &mut [SeriesSamples]) -> String {
    series.sort_by(|a, b| name(&a.labels).cmp(name(&b.labels)));
    let (mut text, mut last) = (String::new(), "");
    for one in &*series {
        let Some(newest) = one.samples.last().filter(|sample| !is_stale(sample.value)) else { continue };
        let metric = name(&one.labels);
        if metric != last {
            text.push_str(&format!("# TYPE {metric} untyped\n"));
            last = metric;
        }
        put(&mut text, metric, &one.labels, newest);
    }
    text
}

fn name(labels: &Labels) -> &str {
    labels.iter().find(|(of, _)| &**of == NAME).map_or("", |(_, value)| value)
}

fn put(text: &mut String, metric: &str, labels: &Labels, sample: &Sample) {
    text.push_str(metric);
    text.push('{');
    let mut has_instance = false;
    let mut comma = "";
    for (name, value) in labels.iter().filter(|(name, _)| &**name != NAME) {
        has_instance |= &**name == "instance";
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        text.push_str(&format!("{comma}{name}=\"{value}\""));
        comma = ",";
    }
    if !has_instance {
        // Else whoever scrapes this would give the series our own address.
        text.push_str(comma);
        text.push_str("instance=\"\"");
    }
    let value = match sample.value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    };
    text.push_str(&format!("}} {value} {}\n", sample.t_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample::stale;

    fn series(pairs: &[(&str, &str)], value: f64) -> SeriesSamples {
        let labels = pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        SeriesSamples { labels, samples: vec![Sample { t_ms: 5, value: 0.0 }, Sample { t_ms: 7, value }] }
    }

    #[test]
    fn the_newest_sample_of_each_series_is_told() {
        let mut all = [
            series(&[("__name__", "b"), ("instance", "h:1"), ("x", "a\"\\\n")], f64::INFINITY),
            series(&[("__name__", "b"), ("instance", "h:2")], 2.5),
            series(&[("__name__", "a"), ("job", "j")], f64::NAN),
            series(&[("__name__", "ended")], stale()),
        ];
        let expected = "# TYPE a untyped\na{job=\"j\",instance=\"\"} NaN 7\n# TYPE b untyped\n\
                        b{instance=\"h:1\",x=\"a\\\"\\\\\\n\"} +Inf 7\nb{instance=\"h:2\"} 2.5 7\n";
        assert_eq!(text(&mut all), expected);
    }
}
