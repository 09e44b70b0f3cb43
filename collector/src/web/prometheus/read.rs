//! `read`: Prometheus' remote read, by which another Prometheus takes our samples for its own. Whoever can read a stream
//! of chunks gets one, others all samples at once.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prost::Message;

use super::problem::Problem;
use super::{Api, chunks};
use crate::ingest::remote_write::message::{Label, Sample as SentSample, TimeSeries};
use crate::store::sample::matcher::{MatchOp, Matcher};
use crate::store::{SampleQuery, SeriesSamples, StoreError};

/// Bytes of a request, unpacked.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Questions of one request.
const QUERIES_MAX: usize = 32;
/// Samples of an answer that is sent at once: it is held in memory as samples, as a message, and packed.
const SAMPLES_MAX: usize = 5_000_000;
/// Samples of one question that is answered as a stream.
const STREAMED_MAX: usize = 20_000_000;
/// Series of one frame of a stream.
const FRAME_SERIES: usize = 64;

/// `prometheus.ReadRequest`.
#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted_response_types: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<LabelMatcher>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelMatcher {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `accepted_response_types` that asks for a stream.
const STREAMED_XOR_CHUNKS: i32 = 1;

pub(super) async fn read(State(api): State<Api>, body: Bytes) -> Result<Response, Problem> {
    let request = decoded(&body)?;
    let Ok(slot) = Arc::clone(&api.slots).try_acquire_owned() else { return Err(Problem::busy()) };
    let queries = request.queries.iter().map(query).collect::<Result<Vec<_>, _>>()?;
    if request.accepted_response_types.first() == Some(&STREAMED_XOR_CHUNKS) {
        let store = Arc::clone(&api.store);
        let stream = frames(store, queries, slot);
        let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
        return Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response());
    }
    let (mut results, mut samples) = (Vec::with_capacity(queries.len()), 0);
    for query in queries {
        let found = selected(&api, SampleQuery { samples_max: SAMPLES_MAX - samples, ..query }).await?;
        samples += found.iter().map(|series| series.samples.len()).sum::<usize>();
        results.push(QueryResult { timeseries: found.into_iter().map(sent).collect() });
    }
    let packed =
        tokio::task::spawn_blocking(move || snap::raw::Encoder::new().compress_vec(&ReadResponse { results }.encode_to_vec()));
    let packed =
        packed.await.ok().and_then(Result::ok).ok_or_else(|| Problem::execution("the answer is too large to be packed"))?;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, packed).into_response())
}

fn decoded(body: &[u8]) -> Result<ReadRequest, Problem> {
    let length =
        snap::raw::decompress_len(body).map_err(|error| Problem::bad_data(format!("the body is not snappy: {error}")))?;
    if length > REQUEST_BYTES_MAX {
        return Err(Problem::bad_data(format!("a read request may have {REQUEST_BYTES_MAX} bytes")));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body);
    let bytes = bytes.map_err(|error| Problem::bad_data(format!("the body is not snappy: {error}")))?;
    let request =
        ReadRequest::decode(&*bytes).map_err(|error| Problem::bad_data(format!("the body is no read request: {error}")))?;
    if request.queries.len() > QUERIES_MAX {
        return Err(Problem::bad_data(format!("a read request may have {QUERIES_MAX} queries")));
    }
    Ok(request)
}

fn query(query: &Query) -> Result<SampleQuery, Problem> {
    let matcher = |matcher: &LabelMatcher| {
        let op = match matcher.kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Matches,
            3 => MatchOp::NotMatches,
            other => return Err(Problem::bad_data(format!("there is no matcher of type {other}"))),
        };
        Matcher::new(matcher.name.as_str(), op, matcher.value.as_str()).map_err(Problem::from)
    };
    let matchers = query.matchers.iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
    Ok(SampleQuery { samples_max: STREAMED_MAX, ..SampleQuery::new(matchers, query.start_timestamp_ms, query.end_timestamp_ms) })
}

async fn selected(api: &Api, query: SampleQuery) -> Result<Vec<SeriesSamples>, Problem> {
    match api.store.select(&query).await {
        Ok(found) => Ok(found),
        Err(error @ StoreError::TooManySamples(_)) => Err(Problem::bad_data(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Frames of all queries, one after the other: of each, the samples are held, but not the frames.
fn frames(
    store: Arc<dyn crate::store::Store>,
    queries: Vec<SampleQuery>,
    slot: tokio::sync::OwnedSemaphorePermit,
) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> {
    struct Reading {
        store: Arc<dyn crate::store::Store>,
        queries: std::iter::Enumerate<std::vec::IntoIter<SampleQuery>>,
        current: (usize, std::vec::IntoIter<SeriesSamples>),
        _slot: tokio::sync::OwnedSemaphorePermit,
    }
    let state = Reading { store, queries: queries.into_iter().enumerate(), current: (0, Vec::new().into_iter()), _slot: slot };
    futures_util::stream::try_unfold(state, |mut state| async move {
        loop {
            let series: Vec<SeriesSamples> = state.current.1.by_ref().take(FRAME_SERIES).collect();
            if !series.is_empty() {
                let index = state.current.0 as i64;
                let frame = tokio::task::spawn_blocking(move || chunks::frame(&series, index)).await?;
                return Ok(Some((Bytes::from(frame), state)));
            }
            let Some((index, query)) = state.queries.next() else { return Ok(None) };
            state.current = (index, state.store.select(&query).await?.into_iter());
        }
    })
}

fn sent(series: SeriesSamples) -> TimeSeries {
    let labels = series.labels.iter().map(|(name, value)| Label { name: name.to_string(), value: value.to_string() });
    let samples = series.samples.iter();
    TimeSeries {
        labels: labels.collect(),
        // Marks of ends go along as they are: their reader knows them.
        samples: samples.map(|sample| SentSample { value: sample.value, timestamp: sample.t_ms }).collect(),
        ..TimeSeries::default()
    }
}
