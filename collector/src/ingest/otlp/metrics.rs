//! Turns one OTLP export of metrics into samples of Prometheus' series, refusing the points that cannot be.

mod labels;
mod names;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Exemplar, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, exemplar,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use self::labels::{Labels, Target};
use self::names::{Kind, metric_name};
use super::export::Frame;
use crate::ingest::door::{ITEM_BYTES_MAX, Reason};
use crate::ingest::wire::{Fields, WireError};
use crate::pipeline::SamplePush;
use crate::store::sample::stale;
use crate::store::{Metadata, Sample};

/// Buckets of one histogram, and quantiles of one summary; a point with more is refused.
const BUCKETS_MAX: usize = 1024;

/// Takes what is read: samples by the labels of their series, which stand by their names, and what is refused.
pub trait Sink {
    /// `since_ms` is when a counter began, as far as it is told.
    fn add(&mut self, labels: &[(&str, &str)], sample: Sample, since_ms: Option<i64>);
    fn refuse(&mut self, reason: &'static str, count: u64);
    fn exemplar(&mut self, labels: &[(&str, &str)], sample: Sample, own: &[(&str, &str)]);
    fn refuse_exemplars(&mut self, reason: &'static str, count: u64);
    fn describe(&mut self, metadata: Metadata);
    /// Whether the request has more than it may: what follows is only counted.
    fn is_full(&self) -> bool;
}

impl Sink for SamplePush {
    fn add(&mut self, labels: &[(&str, &str)], sample: Sample, since_ms: Option<i64>) {
        self.add_since(labels, since_ms, [sample]);
    }

    fn refuse(&mut self, reason: &'static str, count: u64) {
        Self::refuse(self, reason, count);
    }

    fn exemplar(&mut self, labels: &[(&str, &str)], sample: Sample, own: &[(&str, &str)]) {
        Self::exemplar(self, labels, sample.t_ms, sample.value, own);
    }

    fn refuse_exemplars(&mut self, reason: &'static str, count: u64) {
        Self::refuse_exemplars(self, reason, count);
    }

    fn describe(&mut self, metadata: Metadata) {
        Self::describe(self, metadata);
    }

    fn is_full(&self) -> bool {
        self.room() == 0
    }
}

/// Bytes that are no export.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Undecodable {
    Frame(#[from] WireError),
    Message(#[from] prost::DecodeError),
}

/// Reads an `ExportMetricsServiceRequest`, one point at a time: the generated types of a whole export may take a hundred
/// times its bytes.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single points goes into `sink`.
pub fn decode(request: &[u8], now_ms: i64, sink: &mut impl Sink) -> Result<(), Undecodable> {
    each(request, 1, |message| resource_metrics(message, now_ms, sink))
}

/// The messages of one field.
fn each<E: From<WireError>>(message: &[u8], of: u32, mut work: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next_field()? {
        if number == of {
            work(field.bytes(number)?)?;
        }
    }
    Ok(())
}

fn resource_metrics(message: &[u8], now_ms: i64, sink: &mut impl Sink) -> Result<(), Undecodable> {
    let frame = Frame::read(message)?;
    let resource = shared::<Resource>(frame.shared)?;
    let target = resource.as_ref().map_err(|reason| *reason).and_then(|resource| Target::of(&resource.attributes));
    let mut newest_ms = None;
    each(message, 2, |message| {
        let scope = shared::<InstrumentationScope>(Frame::read(message)?.shared)?;
        let base = target.as_ref().map_err(|reason| *reason).and_then(|target| target.labels(scope?));
        let mut points = Points { base: base.as_ref().map_err(|reason| *reason), now_ms, newest_ms: &mut newest_ms, sink };
        each(message, 2, |message| points.metric(message))
    })?;
    // Who the target is, for as long as it tells anything.
    let (Ok(resource), Ok(target), Some(t_ms)) = (resource, target, newest_ms) else { return Ok(()) };
    match target.info(&resource.attributes) {
        Some(Ok(labels)) => labels.with_name("target_info", None, |labels| sink.add(labels, Sample { t_ms, value: 1.0 }, None)),
        Some(Err(reason)) => sink.refuse(reason, 1),
        None => {}
    }
    Ok(())
}

/// What points share; a reason when they are refused for it.
fn shared<T: Message + Default>(message: &[u8]) -> Result<Result<T, Reason>, prost::DecodeError> {
    if message.len() > ITEM_BYTES_MAX {
        return Ok(Err("too_large"));
    }
    T::decode(message).map(Ok)
}

struct Points<'a, S: Sink> {
    base: Result<&'a Labels, Reason>,
    now_ms: i64,
    newest_ms: &'a mut Option<i64>,
    sink: &'a mut S,
}

/// `Metric` as it is sent.
#[derive(Default)]
struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    /// The number of its kind's field, and the points.
    data: Option<(u32, &'a [u8])>,
}

impl<'a> Metric<'a> {
    fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut metric = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => metric.name = field.bytes(number)?,
                2 => metric.description = field.bytes(number)?,
                3 => metric.unit = field.bytes(number)?,
                GAUGE | SUM | HISTOGRAM | EXPONENTIAL | SUMMARY => metric.data = Some((number, field.bytes(number)?)),
                _ => {}
            }
        }
        Ok(metric)
    }
}

const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const EXPONENTIAL: u32 = 10;
const SUMMARY: u32 = 11;

/// What sums and histograms say beside their points.
struct Told {
    points: u64,
    is_cumulative: bool,
    is_monotonic: bool,
}

impl Told {
    fn read(data: &[u8]) -> Result<Self, WireError> {
        let mut told = Self { points: 0, is_cumulative: false, is_monotonic: false };
        let mut fields = Fields::new(data);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => told.points += 1,
                2 => told.is_cumulative = field.varint(number)? == AggregationTemporality::Cumulative as u64,
                3 => told.is_monotonic = field.varint(number)? != 0,
                _ => {}
            }
        }
        Ok(told)
    }
}

impl<S: Sink> Points<'_, S> {
    fn metric(&mut self, message: &[u8]) -> Result<(), Undecodable> {
        let metric = Metric::read(message)?;
        let Some((kind, data)) = metric.data else {
            self.sink.refuse("no_data", 1);
            return Ok(());
        };
        let told = Told::read(data)?;
        let (Ok(name), Ok(unit)) = (std::str::from_utf8(metric.name), std::str::from_utf8(metric.unit)) else {
            self.sink.refuse("bad_utf8", told.points);
            return Ok(());
        };
        let name = |kind| metric_name(name, unit, kind);
        self.describe(&metric, kind, &told, &name);
        match kind {
            // What was added since the last export: whoever adds it up must see every export, once.
            SUM | HISTOGRAM if !told.is_cumulative => self.sink.refuse("delta", told.points),
            // Its buckets change as it grows, and each set of them would be new series.
            EXPONENTIAL => self.sink.refuse("exponential_histogram", told.points),
            HISTOGRAM => return self.points(data, &name(Kind::Other), Self::histogram),
            SUMMARY => return self.points(data, &name(Kind::Other), Self::summary),
            SUM if told.is_monotonic => return self.points(data, &name(Kind::Counter), Self::number),
            SUM => return self.points(data, &name(Kind::Other), Self::number),
            _ => return self.points(data, &name(Kind::Gauge), Self::number),
        }
        Ok(())
    }

    /// Type, help and unit, as Prometheus would have scraped them.
    fn describe(&mut self, metric: &Metric<'_>, kind: u32, told: &Told, name: &impl Fn(Kind) -> String) {
        let (of, kind) = match kind {
            SUM if told.is_monotonic => (Kind::Counter, "counter"),
            GAUGE => (Kind::Gauge, "gauge"),
            SUM => (Kind::Other, "gauge"),
            HISTOGRAM | EXPONENTIAL => (Kind::Other, "histogram"),
            _ => (Kind::Other, "summary"),
        };
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.sink.describe(Metadata::new(&name(of), kind, text(metric.description), text(metric.unit)));
    }

    /// Exemplars of a series, or of the bucket that each of them is counted in.
    fn exemplars(&mut self, name: &str, labels: &Labels, exemplars: &[Exemplar], bounds: Option<&[f64]>) {
        for exemplar in exemplars {
            let value = match exemplar.value {
                Some(exemplar::Value::AsDouble(value)) => value,
                Some(exemplar::Value::AsInt(value)) => value as f64,
                None => 0.0,
            };
            let le = bounds.map(|bounds| bounds.get(bounds.partition_point(|bound| *bound < value)));
            let le = le.map(|bound| bound.map_or_else(|| "+Inf".to_owned(), f64::to_string));
            let ids = [("trace_id", &exemplar.trace_id), ("span_id", &exemplar.span_id)];
            let ids: Vec<(&str, String)> = ids.into_iter().map(|(name, id)| (name, hex(id))).collect();
            let Ok(filtered) = Labels::default().and(&exemplar.filtered_attributes) else {
                self.sink.refuse_exemplars("label_limit", 1);
                continue;
            };
            let own: Vec<(&str, &str)> = ids.iter().map(|(name, id)| (*name, id.as_str())).chain(filtered.iter()).collect();
            let t_ms = self.time(exemplar.time_unix_nano);
            let le = le.as_deref().map(|le| ("le", le));
            labels.with_name(name, le, |labels| self.sink.exemplar(labels, Sample { t_ms, value }, &own));
        }
    }

    fn points<P: Message + Default>(
        &mut self,
        data: &[u8],
        name: &str,
        take: fn(&mut Self, &Labels, &str, &P) -> Result<(), Reason>,
    ) -> Result<(), Undecodable> {
        each(data, 1, |message| {
            let taken = match self.base {
                _ if self.sink.is_full() => Err("too_many_items"),
                _ if message.len() > ITEM_BYTES_MAX => Err("too_large"),
                Ok(base) => take(self, base, name, &P::decode(message)?),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = taken {
                self.sink.refuse(reason, 1);
            }
            Ok(())
        })
    }

    fn number(&mut self, base: &Labels, name: &str, point: &NumberDataPoint) -> Result<(), Reason> {
        let value = match point.value {
            _ if is_missing(point.flags) => stale(),
            Some(Value::AsDouble(value)) => value,
            Some(Value::AsInt(value)) => value as f64,
            None => return Err("no_data"),
        };
        let labels = base.and(&point.attributes)?;
        let (t_ms, since_ms) = (self.time(point.time_unix_nano), since(point.start_time_unix_nano));
        self.one(name, &labels, None, Sample { t_ms, value }, since_ms);
        self.exemplars(name, &labels, &point.exemplars, None);
        Ok(())
    }

    fn histogram(&mut self, base: &Labels, name: &str, point: &HistogramDataPoint) -> Result<(), Reason> {
        let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
        let fits = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        let is_ordered = bounds.is_sorted_by(|a, b| a < b);
        if !fits || !is_ordered || counts.len() > BUCKETS_MAX {
            return Err("bad_histogram");
        }
        let labels = base.and(&point.attributes)?;
        let (t_ms, is_missing) = (self.time(point.time_unix_nano), is_missing(point.flags));
        let value = |value: f64| Sample { t_ms, value: if is_missing { stale() } else { value } };
        let since_ms = since(point.start_time_unix_nano);
        let mut sum = 0_u64;
        let bucket = format!("{name}_bucket");
        for (count, bound) in counts.iter().zip(bounds) {
            sum = sum.saturating_add(*count);
            self.one(&bucket, &labels, Some(("le", &bound.to_string())), value(sum as f64), since_ms);
        }
        self.one(&bucket, &labels, Some(("le", "+Inf")), value(point.count as f64), since_ms);
        self.one(&format!("{name}_count"), &labels, None, value(point.count as f64), since_ms);
        if let Some(sum) = point.sum {
            self.one(&format!("{name}_sum"), &labels, None, value(sum), since_ms);
        }
        self.exemplars(&bucket, &labels, &point.exemplars, Some(bounds));
        Ok(())
    }

    fn summary(&mut self, base: &Labels, name: &str, point: &SummaryDataPoint) -> Result<(), Reason> {
        if point.quantile_values.len() > BUCKETS_MAX {
            return Err("bad_summary");
        }
        let labels = base.and(&point.attributes)?;
        let (t_ms, is_missing) = (self.time(point.time_unix_nano), is_missing(point.flags));
        let value = |value: f64| Sample { t_ms, value: if is_missing { stale() } else { value } };
        for quantile in &point.quantile_values {
            let own = quantile.quantile.to_string();
            self.one(name, &labels, Some(("quantile", &own)), value(quantile.value), None);
        }
        self.one(&format!("{name}_sum"), &labels, None, value(point.sum), None);
        self.one(&format!("{name}_count"), &labels, None, value(point.count as f64), None);
        Ok(())
    }

    fn one(&mut self, name: &str, labels: &Labels, own: Option<(&str, &str)>, sample: Sample, since_ms: Option<i64>) {
        labels.with_name(name, own, |labels| self.sink.add(labels, sample, since_ms));
    }

    /// A point that does not say when is of now.
    fn time(&mut self, time_unix_nano: u64) -> i64 {
        let t_ms = match time_unix_nano {
            0 => self.now_ms,
            at => i64::try_from(at / 1_000_000).unwrap_or(i64::MAX),
        };
        *self.newest_ms = Some(self.newest_ms.map_or(t_ms, |newest| newest.max(t_ms)));
        t_ms
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When a counter began, in Unix milliseconds.
fn since(start_unix_nano: u64) -> Option<i64> {
    i64::try_from(start_unix_nano / 1_000_000).ok().filter(|since_ms| *since_ms > 0)
}

fn is_missing(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

/// The value of an attribute by its key.
fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a KeyValue> {
    attributes.iter().rev().find(|attribute| attribute.key == key)
}

#[cfg(test)]
mod tests;
