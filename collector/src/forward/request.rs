//! Encodes requests of remote write: the labels of a series once, its samples whenever there are some.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::ingest::remote_write::message::{Label, Sample, TimeSeries};
use crate::store::SeriesIndex;

/// Series whose labels are kept encoded; beyond this they are encoded anew.
const SERIES_KEPT_MAX: usize = 50_000;
/// `WriteRequest.timeseries` and `TimeSeries.samples`.
const TIMESERIES: u32 = 1;
const SAMPLES: u32 = 2;

pub(super) struct Encoder {
    index: Arc<SeriesIndex>,
    labels: HashMap<i64, Box<[u8]>>,
    snappy: snap::raw::Encoder,
}

impl Encoder {
    pub fn new(index: Arc<SeriesIndex>) -> Self {
        Self { index, labels: HashMap::new(), snappy: snap::raw::Encoder::new() }
    }

    /// The compressed request, and how many of the samples are in it: those of forgotten series are not.
    pub fn encode(&mut self, samples: &[(i64, i64, f64)]) -> (Vec<u8>, usize) {
        let (mut raw, mut count) = (Vec::with_capacity(samples.len() * 200), 0);
        for (series, timestamp, value) in samples {
            let Some(labels) = self.labels(*series) else { continue };
            let sample = Sample { value: *value, timestamp: *timestamp };
            let sample_length = sample.encoded_len();
            let length = labels.len() + 1 + encoded_len_varint(sample_length as u64) + sample_length;
            encode_key(TIMESERIES, WireType::LengthDelimited, &mut raw);
            encode_varint(length as u64, &mut raw);
            raw.extend_from_slice(labels);
            encode_key(SAMPLES, WireType::LengthDelimited, &mut raw);
            encode_varint(sample_length as u64, &mut raw);
            // A vector always has room.
            let _ = sample.encode(&mut raw);
            count += 1;
        }
        match self.snappy.compress_vec(&raw) {
            Ok(body) => (body, count),
            Err(error) => {
                tracing::error!(%error, "samples cannot be compressed");
                (Vec::new(), 0)
            }
        }
    }

    fn labels(&mut self, series: i64) -> Option<&[u8]> {
        if self.labels.len() >= SERIES_KEPT_MAX && !self.labels.contains_key(&series) {
            self.labels.clear();
        }
        if !self.labels.contains_key(&series) {
            let known = self.index.get(series)?;
            let labels = self.index.labels(&known);
            let labels = labels.iter().map(|(name, value)| Label { name: name.to_string(), value: value.to_string() });
            let encoded = TimeSeries { labels: labels.collect(), ..TimeSeries::default() }.encode_to_vec();
            self.labels.insert(series, encoded.into());
        }
        self.labels.get(&series).map(|labels| &**labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::remote_write::message::WriteRequest;

    #[test]
    fn a_request_is_what_the_protocol_says() {
        let index = Arc::new(SeriesIndex::new(0, 10));
        let series = index.resolve(1, &[("__name__", "up"), ("job", "x")]).unwrap();
        let mut encoder = Encoder::new(Arc::clone(&index));
        let (body, count) = encoder.encode(&[(series.id, 5, 1.5), (99, 5, 2.0), (series.id, 6, -1.0)]);
        let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let request = WriteRequest::decode(&*raw).unwrap();
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let one = |timestamp, value| TimeSeries {
            labels: vec![label("__name__", "up"), label("job", "x")],
            samples: vec![Sample { value, timestamp }],
            ..TimeSeries::default()
        };
        assert_eq!((request.timeseries, count), (vec![one(5, 1.5), one(6, -1.0)], 2));
    }
}
