//! What a request is answered, and what becomes of each of its samples.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use sidelight_collector::Collector;
use sidelight_collector::clock::now_ms;
use sidelight_collector::ingest::remote_write::message::{
    Label, RequestV2, Sample, Skipped, TimeSeries, TimeSeriesV2, WriteRequest,
};

use crate::on_both;
use crate::support::place::Place;
use crate::support::running::{get, settings};
use crate::{label, select};

on_both!(version_one_is_written, version_two_is_written_in_part, a_retry_is_stored_once, what_is_no_remote_write_is_refused,);

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn written(&self) -> Option<&str> {
        self.headers.get("x-prometheus-remote-write-samples-written").map(|value| value.to_str().unwrap())
    }
}

async fn post(collector: &Collector, media: &str, encoding: &str, body: &[u8]) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let body = if encoding == "snappy" { snap::raw::Encoder::new().compress_vec(body).unwrap() } else { body.to_vec() };
    let request = Request::post(format!("http://{}/api/v1/write", collector.addresses().dashboard))
        .header("content-type", HeaderValue::from_str(media).unwrap())
        .header("content-encoding", HeaderValue::from_str(encoding).unwrap())
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, text: String::from_utf8_lossy(&text).into_owned() }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries {
        labels: labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect(),
        samples: samples.iter().map(|(timestamp, value)| Sample { timestamp: *timestamp, value: *value }).collect(),
        ..TimeSeries::default()
    }
}

async fn counted(collector: &Collector) -> (u64, u64, u64) {
    let report: sidelight_api::ingest::IngestReport =
        serde_json::from_str(&get(collector.addresses().dashboard, "/api/ingest").await.1).unwrap();
    let door = report.doors.iter().find(|door| door.door == "remote-write" && door.signal == "samples").unwrap();
    (door.received, door.stored, door.refused.values().sum())
}

async fn version_one_is_written(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let now = now_ms();
    let request = WriteRequest {
        timeseries: vec![
            series(&[("__name__", "a_total"), ("instance", "h:1"), ("job", "j")], &[(now - 15_000, 1.0), (now, 2.0)]),
            series(&[("__name__", "b"), ("instance", "h:1"), ("job", "j")], &[(now, f64::NAN)]),
        ],
    };
    let answer = post(&collector, V1, "snappy", &request.encode_to_vec()).await;
    assert_eq!((answer.status, answer.written()), (StatusCode::NO_CONTENT, None), "{}", answer.text);
    let found = select(collector.store(), "{job=\"j\"}").await;
    assert_eq!(found.len(), 2);
    assert_eq!(label(&found[0], "instance"), "h:1");
    let samples: Vec<_> = found[0].samples.iter().map(|sample| (sample.t_ms - now, sample.value)).collect();
    assert_eq!(samples, [(-15_000, 1.0), (0, 2.0)]);
    assert!(found[1].samples[0].value.is_nan());
    assert_eq!(counted(&collector).await, (3, 3, 0));

    // One good series among bad ones: it is written, and the answer says that the others never will be.
    let request = WriteRequest {
        timeseries: vec![
            series(&[("__name__", "c"), ("job", "j")], &[(now, 1.0)]),
            series(&[("job", "j"), ("__name__", "unsorted")], &[(now, 1.0)]),
            series(&[("__name__", "twice"), ("job", "j"), ("job", "k")], &[(now, 1.0), (now + 1, 1.0)]),
            series(&[("job", "nameless")], &[(now, 1.0)]),
            series(&[("__name__", "old")], &[(1000, 1.0)]),
            series(&[("__name__", "new")], &[(4_000_000_000_000, 1.0)]),
        ],
    };
    let answer = post(&collector, V1, "snappy", &request.encode_to_vec()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let told =
        "1 samples were written, others refused: 2 duplicate_label, 1 in_future, 1 no_name, 1 too_old, 1 unsorted_labels\n";
    assert_eq!(answer.text, told);
    assert_eq!(select(collector.store(), "c").await.len(), 1);
    assert_eq!(counted(&collector).await, (10, 4, 6));
    collector.shutdown().await;
}

async fn version_two_is_written_in_part(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let now = now_ms();
    let texts = ["", "__name__", "d", "job", "j", "e"].map(str::to_owned).to_vec();
    let one = |labels_refs: Vec<u32>| TimeSeriesV2 {
        labels_refs,
        samples: vec![Sample { value: 5.0, timestamp: now }],
        ..TimeSeriesV2::default()
    };
    let good = RequestV2 { symbols: texts.clone(), timeseries: vec![one(vec![1, 2, 3, 4]), one(vec![1, 5, 3, 4])] };
    let answer = post(&collector, V2, "snappy", &good.encode_to_vec()).await;
    assert_eq!((answer.status, answer.written()), (StatusCode::NO_CONTENT, Some("2")), "{}", answer.text);
    assert_eq!(answer.headers["x-prometheus-remote-write-histograms-written"], "0");
    assert_eq!(answer.headers["x-prometheus-remote-write-exemplars-written"], "0");
    let mut with_histogram = one(vec![1, 2, 3, 5]);
    with_histogram.histograms = vec![Skipped {}];
    let mixed = RequestV2 { symbols: texts, timeseries: vec![with_histogram, one(vec![1, 99]), one(vec![1])] };
    let answer = post(&collector, V2, "snappy", &mixed.encode_to_vec()).await;
    assert_eq!((answer.status, answer.written()), (StatusCode::BAD_REQUEST, Some("1")));
    assert_eq!(answer.text, "1 samples were written, others refused: 2 bad_symbol, 1 native_histogram\n");
    assert_eq!(select(collector.store(), "{__name__=~\"d|e\"}").await.len(), 3);
    assert_eq!(counted(&collector).await, (6, 3, 3));
    collector.shutdown().await;
}

async fn a_retry_is_stored_once(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let request = WriteRequest { timeseries: vec![series(&[("__name__", "a")], &[(now_ms(), 1.0)])] };
    for _ in 0..3 {
        let answer = post(&collector, V1, "snappy", &request.encode_to_vec()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    }
    assert_eq!(select(collector.store(), "a").await[0].samples.len(), 1);
    assert_eq!(counted(&collector).await, (3, 1, 2));
    collector.shutdown().await;
}

async fn what_is_no_remote_write_is_refused(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let good = WriteRequest::default().encode_to_vec();
    let status = async |media: &str, encoding: &str, body: &[u8]| post(&collector, media, encoding, body).await.status;
    assert_eq!(status("application/json", "snappy", &good).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unknown = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
    assert_eq!(status(unknown, "snappy", &good).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status(V1, "gzip", b"x").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status(V1, "identity", &good).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status(V1, "snappy", b"\xff\xff\xff").await, StatusCode::BAD_REQUEST);
    assert_eq!(status(&format!("{V1};proto=prometheus.WriteRequest"), "snappy", &good).await, StatusCode::NO_CONTENT);
    // Says that it has gigabytes.
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let bomb = Request::post(format!("http://{}/api/v1/write", collector.addresses().dashboard))
        .header("content-type", V1)
        .header("content-encoding", "snappy")
        .body(Full::new(Bytes::from_static(b"\xff\xff\xff\xff\x0f\x00\x61")))
        .unwrap();
    let status = client.request(bomb).await.unwrap().status();
    assert!([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_REQUEST].contains(&status), "{status}");
    assert_eq!(counted(&collector).await, (6, 0, 6));
    collector.shutdown().await;
}
