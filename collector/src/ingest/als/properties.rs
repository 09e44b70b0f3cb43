//! What entries tell of an HTTP request, its response, and a TCP connection.

use super::wire::{BadWire, Fields};
use super::words::Words;
use crate::store::log::{AttributeRef, LogBlockBuilder, NumberField, TextField};

/// What is gathered while one entry is read.
#[derive(Default)]
pub struct Scratch {
    /// Of an attribute.
    pub name: Vec<u8>,
    /// The request's content type is gRPC's.
    pub is_grpc: bool,
    trace_id: Option<u128>,
    span_id: Option<u64>,
}

impl Scratch {
    pub fn clear(&mut self) {
        (self.is_grpc, self.trace_id, self.span_id) = (false, None, None);
    }

    /// Puts a name together.
    pub fn name(&mut self, prefix: &[u8], name: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(prefix);
        self.name.extend_from_slice(name);
    }

    /// Sets the trace that the headers named, if they did.
    pub fn trace(&self, builder: &mut LogBlockBuilder) {
        if let Some(trace_id) = self.trace_id {
            builder.trace(trace_id.to_be_bytes(), self.span_id.map(u64::to_be_bytes));
        }
    }

    /// Headers that tell more than their own text.
    fn request_header(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"content-type" => self.is_grpc = is_grpc(value),
            b"traceparent" => {
                let mut parts = value.splitn(4, |byte| *byte == b'-').skip(1);
                let (trace, span) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if let (32, Some(trace)) = (trace.len(), hex(trace)) {
                    (self.trace_id, self.span_id) = (Some(trace), hex(span).and_then(|id| u64::try_from(id).ok()));
                }
            }
            b"x-b3-traceid" => self.trace_id = hex(value).or(self.trace_id),
            b"x-b3-spanid" => self.span_id = hex(value).and_then(|id| u64::try_from(id).ok()).or(self.span_id),
            _ => {}
        }
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => rest.first().is_none_or(|byte| matches!(byte, b'+' | b';')),
        None => false,
    }
}

/// An id; zero is none.
fn hex(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u128::from_str_radix(text, 16).ok().filter(|id| *id != 0)
}

/// `HTTPRequestProperties`.
pub fn http_request(
    builder: &mut LogBlockBuilder,
    words: &Words,
    scratch: &mut Scratch,
    mut fields: Fields<'_>,
) -> Result<(), BadWire> {
    let (mut path, mut original) = (&[][..], &[][..]);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => builder.text_id(TextField::Method, words.method(value.number()?)),
            2 => builder.text(TextField::Scheme, value.bytes()?),
            3 => builder.text(TextField::Authority, value.bytes()?),
            4 => builder.number(NumberField::RequestPort, value.wrapped_number()?),
            5 => path = value.bytes()?,
            6 => builder.text(TextField::UserAgent, value.bytes()?),
            7 => builder.text(TextField::Referer, value.bytes()?),
            8 => builder.text(TextField::ForwardedFor, value.bytes()?),
            9 => builder.text(TextField::RequestId, value.bytes()?),
            10 => original = value.bytes()?,
            11 => builder.number(NumberField::RequestHeadersBytes, value.number()?),
            12 => builder.number(NumberField::BytesReceived, value.number()?),
            13 => {
                let (name, text) = value.map_entry()?;
                scratch.request_header(name, text);
                scratch.name(b"request.header.", name);
                builder.attribute(&scratch.name, AttributeRef::Text(text));
            }
            14 => builder.number(NumberField::UpstreamHeaderBytesSent, value.number()?),
            15 => builder.number(NumberField::DownstreamHeaderBytesReceived, value.number()?),
            _ => {}
        }
    }
    if original.is_empty() {
        builder.text(TextField::Path, path);
    } else {
        builder.text(TextField::Path, original);
        builder.text(TextField::RewrittenPath, path);
    }
    Ok(())
}

/// `HTTPResponseProperties`.
pub fn http_response(builder: &mut LogBlockBuilder, scratch: &mut Scratch, mut fields: Fields<'_>) -> Result<(), BadWire> {
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => builder.number(NumberField::ResponseCode, value.wrapped_number()?),
            2 => builder.number(NumberField::ResponseHeadersBytes, value.number()?),
            3 => builder.number(NumberField::BytesSent, value.number()?),
            4 | 5 => {
                let (name, text) = value.map_entry()?;
                if name == b"grpc-status" {
                    builder.text(TextField::GrpcStatus, text);
                }
                scratch.name(if number == 4 { b"response.header." } else { b"response.trailer." }, name);
                builder.attribute(&scratch.name, AttributeRef::Text(text));
            }
            6 => builder.text(TextField::CodeDetails, value.bytes()?),
            7 => builder.number(NumberField::UpstreamHeaderBytesReceived, value.number()?),
            8 => builder.number(NumberField::DownstreamHeaderBytesSent, value.number()?),
            _ => {}
        }
    }
    Ok(())
}

/// `ConnectionProperties`.
pub fn tcp_connection(builder: &mut LogBlockBuilder, mut fields: Fields<'_>) -> Result<(), BadWire> {
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => builder.number(NumberField::BytesReceived, value.number()?),
            2 => builder.number(NumberField::BytesSent, value.number()?),
            _ => {}
        }
    }
    Ok(())
}
