//! Takes the two halves of a shared span apart: Zipkin gives both sides of a call one id, Jaeger and OTLP give each its own.

use std::collections::{HashMap, HashSet};

use crate::store::{Span, SpanKind};

/// Gives the server's half of each shared span an id of its own, makes it a child of the client's, and hangs the spans that
/// hung from the shared id below it: what the server did, it did as its own half. The new id follows from the old one, so
/// that it is the same in every answer.
#[must_use]
pub fn apart(mut spans: Vec<Span>) -> Vec<Span> {
    let clients: HashSet<[u8; 8]> = spans.iter().filter(|span| span.kind == SpanKind::Client).map(|span| span.id).collect();
    let mut new_ids: HashMap<[u8; 8], [u8; 8]> = HashMap::new();
    for span in spans.iter_mut().filter(|span| span.kind == SpanKind::Server) {
        span.shared = false;
        if clients.contains(&span.id) {
            let (old, new) = (span.id, new_id(span));
            new_ids.insert(old, new);
            (span.id, span.parent_id) = (new, Some(old));
        }
    }
    for span in spans.iter_mut().filter(|_| !new_ids.is_empty()) {
        let new = span.parent_id.and_then(|parent| new_ids.get(&parent)).filter(|new| **new != span.id);
        if let Some(new) = new {
            span.parent_id = Some(*new);
        }
    }
    spans
}

/// With both halves under one id, as Zipkin sends them.
pub(super) fn as_stored(mut spans: Vec<Span>) -> Vec<Span> {
    spans.iter_mut().for_each(|span| span.shared = false);
    spans
}

fn new_id(span: &Span) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&span.trace_id).update(&span.id).update(b"shared");
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_half_hangs_below_the_clients_and_carries_its_children() {
        let span = |id: u8, parent: Option<u8>, kind: SpanKind| Span {
            trace_id: [9; 16],
            id: [id; 8],
            parent_id: parent.map(|parent| [parent; 8]),
            kind,
            ..Span::default()
        };
        let shared = Span { shared: true, ..span(2, Some(1), SpanKind::Server) };
        let spans =
            vec![span(1, None, SpanKind::Server), span(2, Some(1), SpanKind::Client), shared, span(3, Some(2), SpanKind::Client)];
        let apart = apart(spans.clone());
        assert_eq!((&apart[0], &apart[1]), (&spans[0], &spans[1]));
        assert_eq!((apart[2].parent_id, apart[2].shared), (Some([2; 8]), false));
        assert_ne!(apart[2].id, [2; 8]);
        assert_eq!(apart[3].parent_id, Some(apart[2].id));
        // A half alone keeps its id.
        let alone = super::apart(vec![spans[2].clone()]);
        assert_eq!((alone[0].id, alone[0].parent_id, alone[0].shared), ([2; 8], Some([1; 8]), false));
    }
}
