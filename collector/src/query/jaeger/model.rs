//! Jaeger's model of a trace, which its JSON and its protobuf both spell.

/// What a tag says.
#[derive(Clone, Debug, PartialEq)]
pub enum TagValue {
    Text(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    Binary(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    pub key: String,
    pub value: TagValue,
}

impl Tag {
    pub fn text(key: &str, text: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: TagValue::Text(text.into()) }
    }
}

/// Something that happened while a span ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Nanoseconds since 1970.
    pub at_ns: i64,
    pub fields: Vec<Tag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefType {
    ChildOf,
    FollowsFrom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    pub ref_type: RefType,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

/// Who made spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    pub service: String,
    pub tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JaegerSpan {
    pub trace_id: [u8; 16],
    pub id: [u8; 8],
    /// 1 when the sender said that the trace is sampled.
    pub flags: u32,
    pub operation: String,
    pub references: Vec<Reference>,
    /// Nanoseconds since 1970.
    pub start_ns: i64,
    pub duration_ns: i64,
    pub tags: Vec<Tag>,
    pub logs: Vec<Log>,
    /// Place in [`JaegerTrace::processes`].
    pub process: usize,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct JaegerTrace {
    pub trace_id: [u8; 16],
    /// By their start.
    pub spans: Vec<JaegerSpan>,
    /// Each once, in the order in which spans name them.
    pub processes: Vec<Process>,
    pub warnings: Vec<String>,
}
