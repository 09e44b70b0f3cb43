//! Makes requests of spans, none larger than backends take.

use prost::Message as _;

use super::client::Message;
use super::destination::Protocol;
use super::otlp;
use crate::ingest::zipkin::ZipkinSpan;
use crate::store::Span;

/// Bytes of one request before compression, unless a single span has more: gRPC servers take 4 MiB by default.
pub const REQUEST_BYTES_MAX: usize = 3_500_000;

/// A message and how many spans are in it.
pub(super) type Request = (usize, Message);

/// Requests of at most `spans_max` spans each, in order.
pub(super) fn requests(protocol: Protocol, spans: Vec<Span>, spans_max: usize) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut spans = spans.into_iter();
    loop {
        let chunk: Vec<Span> = spans.by_ref().take(spans_max.max(1)).collect();
        if chunk.is_empty() {
            return requests;
        }
        add(protocol, chunk, &mut requests);
    }
}

/// Halves what is too large.
fn add(protocol: Protocol, mut spans: Vec<Span>, requests: &mut Vec<Request>) {
    let whole = message(protocol, &spans);
    if spans.len() <= 1 || size(&whole) <= REQUEST_BYTES_MAX {
        requests.push((spans.len(), whole));
        return;
    }
    let second = spans.split_off(spans.len() / 2);
    add(protocol, spans, requests);
    add(protocol, second, requests);
}

fn message(protocol: Protocol, spans: &[Span]) -> Message {
    match protocol {
        Protocol::OtlpGrpc | Protocol::OtlpHttp => Message::Otlp(otlp::request(spans.to_vec())),
        Protocol::ZipkinJson => {
            let spans: Vec<ZipkinSpan> = spans.iter().cloned().map(ZipkinSpan::from).collect();
            // Strings and numbers only: there is nothing that JSON cannot say.
            Message::Zipkin(serde_json::to_vec(&spans).unwrap_or_default())
        }
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Otlp(request) => request.encoded_len(),
        Message::Zipkin(json) => json.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(count: u8, name_bytes: usize) -> Vec<Span> {
        (0..count).map(|n| Span { trace_id: [7; 16], id: [n + 1; 8], name: "x".repeat(name_bytes), ..Span::default() }).collect()
    }

    fn counts(protocol: Protocol, spans: Vec<Span>, spans_max: usize) -> Vec<usize> {
        requests(protocol, spans, spans_max).into_iter().map(|(count, _)| count).collect()
    }

    #[test]
    fn requests_are_bounded_by_spans_and_by_bytes() {
        for protocol in [Protocol::OtlpGrpc, Protocol::ZipkinJson] {
            assert_eq!(counts(protocol, spans(7, 10), 3), [3, 3, 1]);
            assert_eq!(counts(protocol, spans(4, 1_500_000), 100), [2, 2]);
            assert_eq!(counts(protocol, spans(2, 4_000_000), 100), [1, 1]);
            assert_eq!(counts(protocol, Vec::new(), 100), [0_usize; 0]);
        }
    }
}
