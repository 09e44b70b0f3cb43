//! Trace context: read from a request, continued with a span of our own, written to the next hop.

mod b3;
mod w3c;

use http::HeaderMap;

/// Header form in which a context travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `x-b3-traceid` and its sisters.
    Multi,
    /// One `b3` header.
    Single,
}

/// How contexts are read and written. The defaults are Istio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextOptions {
    /// New traces get 128-bit ids (default); 64-bit otherwise. Incoming ids keep their width.
    pub wide_ids: bool,
    /// `USE_B3_WITH_W3C_PROPAGATION`: `traceparent` is a parent when there is no B3, and is written beside B3.
    /// Off by default: a `traceparent` then passes through unchanged.
    pub w3c: bool,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self { wide_ids: true, w3c: false }
    }
}

/// Trace id of 64 or 128 bits; the width it came with is the width it leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId {
    pub high: u64,
    pub low: u64,
    /// Whether it is written with 32 digits.
    pub wide: bool,
}

impl std::fmt::Display for TraceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.wide {
            write!(f, "{:016x}", self.high)?;
        }
        write!(f, "{:016x}", self.low)
    }
}

/// What a request said about its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// No ids; perhaps a wish to be sampled or not.
    Bare { form: Form, sampled: Option<bool> },
    /// The caller's span.
    Span { form: Form, trace_id: TraceId, span_id: u64, sampled: Option<bool> },
    /// Ids that cannot be read: no span is made and the headers pass unchanged.
    Broken,
}

/// The span of this proxy for one request: what is forwarded, and what is reported when sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: TraceId,
    pub span_id: u64,
    /// The caller's span; `None` at the root.
    pub parent_id: Option<u64>,
    pub sampled: bool,
    form: Form,
    w3c: bool,
}

/// Reads the context of a request.
#[must_use]
pub fn extract(headers: &HeaderMap, options: ContextOptions) -> Incoming {
    match b3::extract(headers) {
        bare @ Incoming::Bare { sampled: None, .. } if options.w3c => w3c::extract(headers).unwrap_or(bare),
        other => other,
    }
}

impl Incoming {
    /// Makes this proxy's own span; `None` when the incoming ids are broken.
    /// `locally_sampled` counts only where the request did not decide.
    #[must_use]
    pub fn begin(self, locally_sampled: bool, options: ContextOptions) -> Option<TraceContext> {
        let span_id = new_id();
        let w3c = options.w3c;
        match self {
            Self::Broken => None,
            Self::Bare { form, sampled } => Some(TraceContext {
                trace_id: TraceId { high: if options.wide_ids { new_id() } else { 0 }, low: span_id, wide: options.wide_ids },
                span_id,
                parent_id: None,
                sampled: sampled.unwrap_or(locally_sampled),
                form,
                w3c,
            }),
            Self::Span { form, trace_id, span_id: parent, sampled } => Some(TraceContext {
                trace_id,
                span_id,
                parent_id: Some(parent),
                sampled: sampled.unwrap_or(locally_sampled),
                form,
                w3c,
            }),
        }
    }
}

impl TraceContext {
    /// Writes the context for the next hop, in the form in which it came.
    pub fn inject(&self, headers: &mut HeaderMap) {
        match self.form {
            Form::Multi => b3::inject_multi(self, headers),
            Form::Single => b3::inject_single(self, headers),
        }
        if self.w3c {
            w3c::inject(self, headers);
        }
    }

    /// A child span in the same trace, for an upstream attempt that gets a span of its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: new_id(), parent_id: Some(self.span_id), ..*self }
    }
}

fn new_id() -> u64 {
    // Zero means "no id" on the wire.
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests;
