//! Turns one OTLP export of logs into records, refusing those that cannot be.

use super::attributes::{Fault, Reading, judge};
use super::export::{self, Origin, ReadItem};
use super::spans::id_of;
use crate::ingest::door::{ITEM_BYTES_MAX, Judged, Times};
use crate::ingest::intern::Interner;
use crate::ingest::wire::{Fields, WireError};
use crate::store::log::LogRecord;

/// Reads an `ExportLogsServiceRequest`.
///
/// # Errors
/// When the bytes are no such message. What is wrong with single records is in the answer.
pub fn decode(request: &[u8], times: Times, interner: &mut Interner, items_max: usize) -> Result<Judged<LogRecord>, WireError> {
    export::decode(request, &Records(times), interner, items_max)
}

struct Records(Times);

impl ReadItem for Records {
    type Item = LogRecord;

    fn read(
        &self,
        message: &[u8],
        origin: Origin<'_>,
        reading: &mut Reading<'_>,
        judged: &mut Judged<LogRecord>,
    ) -> Result<(), WireError> {
        judge(reading.record(message, origin, self.0), judged)
    }
}

impl Reading<'_> {
    fn record(&mut self, message: &[u8], origin: Origin<'_>, times: Times) -> Result<LogRecord, Fault> {
        if message.len() > ITEM_BYTES_MAX {
            return Err(Fault::Item("too_large"));
        }
        let mut record = LogRecord { resource: origin.resource.clone(), scope: origin.scope.clone(), ..LogRecord::default() };
        let (mut at, mut observed) = (0, 0);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next_field()? {
            match number {
                1 => at = field.fixed64(number)?,
                // OTLP knows 1 to 24.
                2 => record.severity = u8::try_from(field.varint(number)?).unwrap_or(0),
                3 => record.severity_text = self.name(field.bytes(number)?)?,
                5 => record.body = Some(self.any_value(field.bytes(number)?)?),
                6 => self.bounded_attribute(field.bytes(number)?, &mut record.attributes)?,
                8 => record.trace_flags = field.fixed32(number)?,
                // A line is worth more than an id that makes no sense.
                9 => record.trace_id = id_of(field.bytes(number)?),
                10 => record.span_id = id_of(field.bytes(number)?),
                11 => observed = field.fixed64(number)?,
                12 => record.event_name = self.name(field.bytes(number)?)?,
                _ => {}
            }
        }
        record.observed_ns = i64::try_from(observed).unwrap_or(i64::MAX);
        record.time_ns = match (at, observed) {
            (0, 0) => times.now_ns,
            (0, _) => record.observed_ns,
            (at, _) => i64::try_from(at).unwrap_or(i64::MAX),
        };
        times.check(record.time_ns).map_err(Fault::Item)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord as Sent, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;
    use crate::store::AttributeValue;

    const NOW_MS: i64 = 1_795_416_100_321;
    const NOW_NS: u64 = 1_795_416_100_321_000_000;

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    /// As Envoy's OTLP access logger sends it.
    fn sent() -> Sent {
        Sent {
            time_unix_nano: NOW_NS - 5,
            body: Some(AnyValue { value: Some(Value::StringValue("GET / 200\n".to_owned())) }),
            attributes: vec![text("upstream_cluster", "outbound|9080||reviews")],
            trace_id: vec![7; 16],
            ..Sent::default()
        }
    }

    fn read(log_records: Vec<Sent>) -> Judged<LogRecord> {
        let resource = Resource { attributes: vec![text("log_name", "otel"), text("node_name", "n")], ..Resource::default() };
        let scope = InstrumentationScope { name: "s".to_owned(), ..InstrumentationScope::default() };
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() }];
        let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, schema_url: String::new() }];
        let request = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
        decode(&request, Times::new(NOW_MS, Duration::from_secs(3600)), &mut Interner::default(), 50).unwrap()
    }

    #[test]
    fn a_record_is_read_whole() {
        let record = &read(vec![sent()]).items[0];
        assert_eq!((record.time_ns, record.observed_ns), (1_795_416_100_320_999_995, 0));
        assert_eq!(record.body, Some(AttributeValue::text("GET / 200\n")));
        assert_eq!((record.trace_id, record.span_id, record.severity), (Some([7; 16]), None, 0));
        assert_eq!(record.attributes, [("upstream_cluster".into(), AttributeValue::text("outbound|9080||reviews"))]);
        assert_eq!((record.resource.attributes.len(), &*record.scope.name), (2, "s"));
        let full = Sent {
            observed_time_unix_nano: NOW_NS,
            severity_number: 17,
            severity_text: "ERROR".to_owned(),
            event_name: "crash".to_owned(),
            flags: 1,
            span_id: vec![3; 8],
            ..sent()
        };
        let record = &read(vec![full]).items[0];
        assert_eq!((record.observed_ns, record.severity, &*record.severity_text), (NOW_NS as i64, 17, "ERROR"));
        assert_eq!((&*record.event_name, record.trace_flags, record.span_id), ("crash", 1, Some([3; 8])));
    }

    #[test]
    fn a_missing_time_is_filled_in_and_a_wrong_one_refused() {
        let at = |time_unix_nano, observed_time_unix_nano| Sent { time_unix_nano, observed_time_unix_nano, ..sent() };
        let judged = read(vec![at(0, 0), at(0, NOW_NS - 9), at(1, NOW_NS), at(u64::MAX, 0)]);
        let times: Vec<i64> = judged.items.iter().map(|record| record.time_ns).collect();
        assert_eq!(times, [NOW_NS as i64, NOW_NS as i64 - 9]);
        assert_eq!(judged.message(), "2 refused (1 in_future, 1 too_old)");
    }

    #[test]
    fn an_id_of_the_wrong_length_does_not_cost_the_line() {
        let judged = read(vec![Sent { trace_id: vec![1], span_id: vec![0; 8], ..sent() }]);
        assert_eq!((judged.items[0].trace_id, judged.items[0].span_id), (None, None));
    }
}
