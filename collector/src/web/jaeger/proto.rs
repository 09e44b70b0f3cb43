//! Messages of Jaeger's gRPC services, with the fields that we read and write; numbers as in jaeger-idl.

use std::collections::HashMap;

use prost::Message;
use prost_types::{Duration, Timestamp};

/// `jaeger.api_v2.GetTraceRequest`, and `ArchiveTraceRequest`, whose first field is the same.
#[derive(Clone, PartialEq, Message)]
pub struct TraceRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub raw_traces: bool,
}

/// `jaeger.api_v3.GetTraceRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct TraceRequestV3 {
    #[prost(string, tag = "1")]
    pub trace_id: String,
    #[prost(bool, tag = "4")]
    pub raw_traces: bool,
}

/// `FindTracesRequest` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct FindRequest {
    #[prost(message, optional, tag = "1")]
    pub query: Option<QueryParameters>,
}

/// `TraceQueryParameters` of both versions; v3 calls the tags attributes.
#[derive(Clone, PartialEq, Message)]
pub struct QueryParameters {
    #[prost(string, tag = "1")]
    pub service_name: String,
    #[prost(string, tag = "2")]
    pub operation_name: String,
    #[prost(map = "string, string", tag = "3")]
    pub tags: HashMap<String, String>,
    #[prost(message, optional, tag = "4")]
    pub start_time_min: Option<Timestamp>,
    #[prost(message, optional, tag = "5")]
    pub start_time_max: Option<Timestamp>,
    #[prost(message, optional, tag = "6")]
    pub duration_min: Option<Duration>,
    #[prost(message, optional, tag = "7")]
    pub duration_max: Option<Duration>,
    #[prost(int32, tag = "8")]
    pub search_depth: i32,
    #[prost(bool, tag = "9")]
    pub raw_traces: bool,
}

/// A message without fields: `GetServicesRequest`, `ArchiveTraceResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct Nothing {}

/// `GetServicesResponse` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct Services {
    #[prost(string, repeated, tag = "1")]
    pub services: Vec<String>,
}

/// `GetOperationsRequest` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct OperationsRequest {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub span_kind: String,
}

/// `Operation` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct Operation {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub span_kind: String,
}

/// `jaeger.api_v2.GetOperationsResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct Operations {
    /// Deprecated, and still what some clients read.
    #[prost(string, repeated, tag = "1")]
    pub operation_names: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub operations: Vec<Operation>,
}

/// `jaeger.api_v3.GetOperationsResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct OperationsV3 {
    #[prost(message, repeated, tag = "1")]
    pub operations: Vec<Operation>,
}

/// `GetDependenciesRequest` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct DependenciesRequest {
    #[prost(message, optional, tag = "1")]
    pub start_time: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub end_time: Option<Timestamp>,
}

/// `GetDependenciesResponse` of both versions.
#[derive(Clone, PartialEq, Message)]
pub struct Dependencies {
    #[prost(message, repeated, tag = "1")]
    pub dependencies: Vec<DependencyLink>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DependencyLink {
    #[prost(string, tag = "1")]
    pub parent: String,
    #[prost(string, tag = "2")]
    pub child: String,
    #[prost(uint64, tag = "3")]
    pub call_count: u64,
}

/// `jaeger.api_v2.SpansResponseChunk`.
#[derive(Clone, PartialEq, Message)]
pub struct SpansChunk {
    #[prost(message, repeated, tag = "1")]
    pub spans: Vec<Span>,
}

/// `jaeger.api_v2.Span`.
#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub operation_name: String,
    #[prost(message, repeated, tag = "4")]
    pub references: Vec<SpanRef>,
    #[prost(uint32, tag = "5")]
    pub flags: u32,
    #[prost(message, optional, tag = "6")]
    pub start_time: Option<Timestamp>,
    #[prost(message, optional, tag = "7")]
    pub duration: Option<Duration>,
    #[prost(message, repeated, tag = "8")]
    pub tags: Vec<KeyValue>,
    #[prost(message, repeated, tag = "9")]
    pub logs: Vec<Log>,
    #[prost(message, optional, tag = "10")]
    pub process: Option<Process>,
    #[prost(string, repeated, tag = "12")]
    pub warnings: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SpanRef {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    /// 0 for a child of it, 1 for what follows from it.
    #[prost(int32, tag = "3")]
    pub ref_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Process {
    #[prost(string, tag = "1")]
    pub service_name: String,
    #[prost(message, repeated, tag = "2")]
    pub tags: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    /// 0 to 4: text, bool, int64, float64, binary.
    #[prost(int32, tag = "2")]
    pub v_type: i32,
    #[prost(string, tag = "3")]
    pub v_str: String,
    #[prost(bool, tag = "4")]
    pub v_bool: bool,
    #[prost(int64, tag = "5")]
    pub v_int64: i64,
    #[prost(double, tag = "6")]
    pub v_float64: f64,
    #[prost(bytes = "vec", tag = "7")]
    pub v_binary: Vec<u8>,
}
