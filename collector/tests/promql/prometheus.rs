//! Fills a real Prometheus, or us, over remote write, and asks over the API of Prometheus.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue};
use prost::Message;
use serde_json::Value;
use sidelight_collector::ingest::remote_write::message::{Label, Sample, TimeSeries, WriteRequest};
use sidelight_collector::store::sample::SeriesSamples;

use crate::support::prometheus::Prometheus;
use crate::support::running::send;

/// Samples of one request; Prometheus refuses bodies of many megabytes.
const SAMPLES_PER_REQUEST: usize = 20_000;

impl Prometheus {
    pub async fn empty() -> Self {
        Self::start("global: {}\n").await
    }

    pub async fn fill(&self, series: &[SeriesSamples]) {
        write(self.address, series).await;
    }

    pub async fn ask(&self, path: &str, parameters: &[(&str, String)]) -> Result<Value, String> {
        ask(self.address, path, parameters).await
    }
}

/// Sends samples over remote write.
pub async fn write(address: SocketAddr, series: &[SeriesSamples]) {
    // By time: the head takes nothing that is much older than what it has.
    let mut flat: Vec<(i64, usize, f64)> = Vec::new();
    for (place, one) in series.iter().enumerate() {
        flat.extend(one.samples.iter().map(|sample| (sample.t_ms, place, sample.value)));
    }
    flat.sort_by_key(|(t_ms, place, _)| (*t_ms, *place));
    for chunk in flat.chunks(SAMPLES_PER_REQUEST) {
        let timeseries = chunk.iter().map(|(t_ms, place, value)| TimeSeries {
            labels: series[*place]
                .labels
                .iter()
                .map(|(name, value)| Label { name: name.to_string(), value: value.to_string() })
                .collect(),
            samples: vec![Sample { value: *value, timestamp: *t_ms }],
            ..TimeSeries::default()
        });
        let body = WriteRequest { timeseries: timeseries.collect() }.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
        headers.insert("content-encoding", HeaderValue::from_static("snappy"));
        headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static("0.1.0"));
        let (status, text) = send(address, "POST", "/api/v1/write", headers, body).await;
        assert!(status.is_success(), "{status} {text}");
    }
}

/// The answer's `data`, or its error type.
pub async fn ask(address: SocketAddr, path: &str, parameters: &[(&str, String)]) -> Result<Value, String> {
    let form: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    let (_, text) = send(address, "POST", path, headers, form.join("&").into_bytes()).await;
    data(&text)
}

pub fn data(text: &str) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    if answer["status"] == "success" {
        Ok(answer["data"].take())
    } else {
        Err(format!("{}: {}", answer["errorType"].as_str().unwrap_or("?"), answer["error"].as_str().unwrap_or("?")))
    }
}

pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
