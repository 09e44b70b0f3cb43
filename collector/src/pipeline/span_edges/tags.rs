//! The attributes of a span that say something about its exchange, found in one pass over all of them.

use std::sync::Arc;

use crate::store::{AttributeValue, Attributes};

/// Longest texts that become labels.
const LABEL_BYTES_MAX: usize = 1_024;

/// Attributes that are looked for.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    NodeId,
    CanonicalService,
    CanonicalRevision,
    Namespace,
    Cluster,
    RequestSize,
    RequestBodySize,
    ResponseSize,
    ResponseBodySize,
    GrpcStatus,
    RpcGrpcStatus,
    GrpcPath,
    RpcSystem,
    HttpStatus,
    HttpResponseStatus,
    ResponseFlags,
    UpstreamCluster,
    PeerService,
    ServerAddress,
    PeerName,
}

const TAGS: usize = Tag::PeerName as usize + 1;

impl Tag {
    /// Most attributes are none of these: their lengths tell before their letters do.
    fn named(name: &str) -> Option<Self> {
        Some(match (name.len(), name) {
            (7, "node_id") => Self::NodeId,
            (9, "grpc.path") => Self::GrpcPath,
            (10, "rpc.system") => Self::RpcSystem,
            (12, "request_size") => Self::RequestSize,
            (12, "peer.service") => Self::PeerService,
            (13, "response_size") => Self::ResponseSize,
            (13, "net.peer.name") => Self::PeerName,
            (14, "response_flags") => Self::ResponseFlags,
            (14, "server.address") => Self::ServerAddress,
            (15, "istio.namespace") => Self::Namespace,
            (16, "http.status_code") => Self::HttpStatus,
            (16, "upstream_cluster") => Self::UpstreamCluster,
            (16, "grpc.status_code") => Self::GrpcStatus,
            (16, "istio.cluster_id") => Self::Cluster,
            (20, "rpc.grpc.status_code") => Self::RpcGrpcStatus,
            (22, "http.request.body.size") => Self::RequestBodySize,
            (23, "istio.canonical_service") => Self::CanonicalService,
            (23, "http.response.body.size") => Self::ResponseBodySize,
            (24, "istio.canonical_revision") => Self::CanonicalRevision,
            (25, "http.response.status_code") => Self::HttpResponseStatus,
            _ => return None,
        })
    }
}

/// The last value of each.
#[derive(Default)]
pub(super) struct Tags<'a>([Option<&'a AttributeValue>; TAGS]);

impl<'a> Tags<'a> {
    pub fn of(attributes: &'a Attributes) -> Self {
        let mut tags = Self::default();
        for (name, value) in attributes {
            if let Some(tag) = Tag::named(name) {
                tags.0[tag as usize] = Some(value);
            }
        }
        tags
    }

    pub fn value(&self, tag: Tag) -> Option<&'a AttributeValue> {
        self.0[tag as usize]
    }

    /// A text that may become a label.
    pub fn text(&self, tag: Tag) -> Option<&'a Arc<str>> {
        self.value(tag).and_then(short)
    }

    /// The first of them that is a number.
    pub fn number(&self, tags: &[Tag]) -> Option<u64> {
        tags.iter().find_map(|tag| match self.value(*tag)? {
            AttributeValue::Int(number) => u64::try_from(*number).ok(),
            AttributeValue::Text(text) => text.parse().ok(),
            _ => None,
        })
    }
}

/// Texts that are too long are no labels.
pub(super) fn short(value: &AttributeValue) -> Option<&Arc<str>> {
    match value {
        AttributeValue::Text(text) if is_short(text) => Some(text),
        _ => None,
    }
}

pub(super) fn is_short(text: &str) -> bool {
    text.len() <= LABEL_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts() {
        let attribute = |name: &str, value: AttributeValue| (name.into(), value);
        let attributes = vec![
            attribute("http.response.status_code", AttributeValue::Int(404)),
            attribute("http.status_code", AttributeValue::text("503")),
            attribute("http.status_code", AttributeValue::text("200")),
            attribute("grpc.path", AttributeValue::text("/a")),
            attribute("grpc_path", AttributeValue::text("/b")),
            attribute("node_id", AttributeValue::text(&"x".repeat(1025))),
        ];
        let tags = Tags::of(&attributes);
        assert_eq!(tags.number(&[Tag::HttpStatus, Tag::HttpResponseStatus]), Some(200));
        assert_eq!(tags.number(&[Tag::RequestSize, Tag::HttpResponseStatus]), Some(404));
        assert_eq!(tags.text(Tag::GrpcPath).map(|path| &**path), Some("/a"));
        assert!(tags.text(Tag::NodeId).is_none() && tags.value(Tag::NodeId).is_some());
    }

    #[test]
    fn names_have_the_lengths_that_are_written_beside_them() {
        let names = [
            "node_id",
            "grpc.path",
            "rpc.system",
            "request_size",
            "peer.service",
            "response_size",
            "net.peer.name",
            "response_flags",
            "server.address",
            "istio.namespace",
            "http.status_code",
            "upstream_cluster",
            "grpc.status_code",
            "istio.cluster_id",
            "rpc.grpc.status_code",
            "http.request.body.size",
            "istio.canonical_service",
            "http.response.body.size",
            "istio.canonical_revision",
            "http.response.status_code",
        ];
        assert_eq!(names.len(), TAGS);
        assert!(names.iter().all(|name| Tag::named(name).is_some()));
    }
}
