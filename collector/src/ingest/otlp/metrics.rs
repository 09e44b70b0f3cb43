//! Turns one OTLP export of metrics into samples of Prometheus' series, refusing the points that cannot be.

mod labels;
mod names;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint,
};
use prost::Message;

use self::labels::{Labels, Target};
use self::names::{Kind, metric_name};
use crate::pipeline::SamplePush;
use crate::store::Sample;
use crate::store::sample::stale;

/// Buckets of one histogram, and quantiles of one summary; a point with more is refused.
const BUCKETS_MAX: usize = 1024;

/// Takes what is read: samples by the labels of their series, which stand by their names, and what is refused.
pub trait Sink {
    fn add(&mut self, labels: &[(&str, &str)], sample: Sample);
    fn refuse(&mut self, reason: &'static str, count: u64);
}

impl Sink for SamplePush {
    fn add(&mut self, labels: &[(&str, &str)], sample: Sample) {
        Self::add(self, labels, [sample]);
    }

    fn refuse(&mut self, reason: &'static str, count: u64) {
        Self::refuse(self, reason, count);
    }
}

/// Reads an `ExportMetricsServiceRequest`.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single points goes into `sink`.
pub fn decode(request: &[u8], now_ms: i64, sink: &mut impl Sink) -> Result<(), prost::DecodeError> {
    let export = ExportMetricsServiceRequest::decode(request)?;
    for resource in &export.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let target = Target::of(attributes);
        let mut newest_ms = None;
        for scope in &resource.scope_metrics {
            let base = target.labels(scope.scope.as_ref());
            for metric in &scope.metrics {
                let mut points = Points { base: &base, now_ms, newest_ms: &mut newest_ms, sink };
                points.metric(metric);
            }
        }
        // Who the target is, for as long as it tells anything.
        if let (Some(labels), Some(t_ms)) = (target.info(attributes), newest_ms) {
            labels.with_name("target_info", |labels| sink.add(labels, Sample { t_ms, value: 1.0 }));
        }
    }
    Ok(())
}

struct Points<'a, S: Sink> {
    base: &'a Labels,
    now_ms: i64,
    newest_ms: &'a mut Option<i64>,
    sink: &'a mut S,
}

impl<S: Sink> Points<'_, S> {
    fn metric(&mut self, metric: &Metric) {
        let name = |kind| metric_name(&metric.name, &metric.unit, kind);
        match &metric.data {
            Some(Data::Gauge(gauge)) => self.numbers(&name(Kind::Gauge), &gauge.data_points),
            Some(Data::Sum(sum)) if is_cumulative(sum.aggregation_temporality) => {
                let kind = if sum.is_monotonic { Kind::Counter } else { Kind::Other };
                self.numbers(&name(kind), &sum.data_points);
            }
            Some(Data::Histogram(histogram)) if is_cumulative(histogram.aggregation_temporality) => {
                let name = name(Kind::Other);
                histogram.data_points.iter().for_each(|point| self.histogram(&name, point));
            }
            Some(Data::Summary(summary)) => {
                let name = name(Kind::Other);
                summary.data_points.iter().for_each(|point| self.summary(&name, point));
            }
            // What was added since the last export: whoever adds it up must see every export, once.
            Some(Data::Sum(sum)) => self.sink.refuse("delta", sum.data_points.len() as u64),
            Some(Data::Histogram(histogram)) => self.sink.refuse("delta", histogram.data_points.len() as u64),
            // Its buckets change as it grows, and each set of them would be new series.
            Some(Data::ExponentialHistogram(histogram)) => {
                self.sink.refuse("exponential_histogram", histogram.data_points.len() as u64);
            }
            None => self.sink.refuse("no_data", 1),
        }
    }

    fn numbers(&mut self, name: &str, points: &[NumberDataPoint]) {
        for point in points {
            let value = match point.value {
                _ if is_missing(point.flags) => stale(),
                Some(Value::AsDouble(value)) => value,
                Some(Value::AsInt(value)) => value as f64,
                None => {
                    self.sink.refuse("no_data", 1);
                    continue;
                }
            };
            let t_ms = self.time(point.time_unix_nano);
            self.one(name, &self.base.and(&point.attributes), Sample { t_ms, value });
        }
    }

    fn histogram(&mut self, name: &str, point: &HistogramDataPoint) {
        let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
        let fits = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        let is_ordered = bounds.is_sorted_by(|a, b| a < b);
        if !fits || !is_ordered || counts.len() > BUCKETS_MAX {
            self.sink.refuse("bad_histogram", 1);
            return;
        }
        let (t_ms, is_missing) = (self.time(point.time_unix_nano), is_missing(point.flags));
        let value = |value: f64| Sample { t_ms, value: if is_missing { stale() } else { value } };
        let labels = self.base.and(&point.attributes);
        let mut sum = 0_u64;
        let bucket = format!("{name}_bucket");
        for (count, bound) in counts.iter().zip(bounds) {
            sum = sum.saturating_add(*count);
            self.one(&bucket, &labels.and_one("le", &bound.to_string()), value(sum as f64));
        }
        self.one(&bucket, &labels.and_one("le", "+Inf"), value(point.count as f64));
        self.one(&format!("{name}_count"), &labels, value(point.count as f64));
        if let Some(sum) = point.sum {
            self.one(&format!("{name}_sum"), &labels, value(sum));
        }
    }

    fn summary(&mut self, name: &str, point: &SummaryDataPoint) {
        if point.quantile_values.len() > BUCKETS_MAX {
            self.sink.refuse("bad_summary", 1);
            return;
        }
        let (t_ms, is_missing) = (self.time(point.time_unix_nano), is_missing(point.flags));
        let value = |value: f64| Sample { t_ms, value: if is_missing { stale() } else { value } };
        let labels = self.base.and(&point.attributes);
        for quantile in &point.quantile_values {
            self.one(name, &labels.and_one("quantile", &quantile.quantile.to_string()), value(quantile.value));
        }
        self.one(&format!("{name}_sum"), &labels, value(point.sum));
        self.one(&format!("{name}_count"), &labels, value(point.count as f64));
    }

    fn one(&mut self, name: &str, labels: &Labels, sample: Sample) {
        labels.with_name(name, |labels| self.sink.add(labels, sample));
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

fn is_cumulative(temporality: i32) -> bool {
    temporality == AggregationTemporality::Cumulative as i32
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
