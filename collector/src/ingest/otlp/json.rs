//! OTLP's JSON, turned into the protobuf that means the same: one way through the rest of the door.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;

use super::Signal;
use crate::ingest::door::Refusal;

/// # Errors
/// When the text is no export of this signal.
pub(super) fn to_protobuf(signal: Signal, json: &[u8]) -> Result<Bytes, Refusal> {
    match signal {
        Signal::Traces => convert::<ExportTraceServiceRequest>(json),
        Signal::Metrics => convert::<ExportMetricsServiceRequest>(json),
        Signal::Logs => convert::<ExportLogsServiceRequest>(json),
    }
}

fn convert<T: DeserializeOwned + Message>(json: &[u8]) -> Result<Bytes, Refusal> {
    match serde_json::from_slice::<T>(json) {
        Ok(export) => Ok(export.encode_to_vec().into()),
        Err(error) => Err(Refusal::undecodable(format!("expected an export as OTLP's JSON: {error}"))),
    }
}
