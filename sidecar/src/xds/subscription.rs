//! What one resource type of one stream has asked for, received and acknowledged.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::google::rpc::Status;

use super::Kind;

/// gRPC's INTERNAL, which Envoy sends with every refusal.
const REFUSED: i32 = 13;

#[derive(Debug)]
pub struct Subscription {
    kind: Kind,
    /// Of the last good update; survives the stream.
    version: String,
    /// Of the last update on this stream.
    nonce: String,
    names: BTreeSet<String>,
    /// Something was asked for on this stream.
    asked: bool,
}

impl Subscription {
    pub fn new(kind: Kind) -> Self {
        Self { kind, version: String::new(), nonce: String::new(), names: BTreeSet::new(), asked: false }
    }

    /// Nonces belong to a stream; versions and names do not.
    pub fn forget_stream(&mut self) {
        self.nonce.clear();
        self.asked = false;
    }

    pub fn asked(&self) -> bool {
        self.asked
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    /// Changes the names of interest; true when the control plane has to be told.
    pub fn want(&mut self, names: BTreeSet<String>) -> bool {
        let changed = self.names != names;
        self.names = names;
        // Without names an unasked named type stays unasked: an empty list would mean "all".
        // With names, it has to be asked for once on every stream, whether or not they changed.
        match self.names.is_empty() {
            true => changed && self.asked,
            false => changed || !self.asked,
        }
    }

    pub fn has_names(&self) -> bool {
        !self.kind.is_named() || !self.names.is_empty()
    }

    pub fn accept(&mut self, version: &str, nonce: &str) {
        version.clone_into(&mut self.version);
        nonce.clone_into(&mut self.nonce);
    }

    /// The version stays that of the last good update.
    pub fn refuse(&mut self, nonce: &str) {
        nonce.clone_into(&mut self.nonce);
    }

    pub fn request(&mut self, node: Option<Node>, refusal: Option<String>) -> DiscoveryRequest {
        self.asked = true;
        DiscoveryRequest {
            version_info: self.version.clone(),
            node,
            resource_names: self.names.iter().cloned().collect(),
            type_url: self.kind.type_url().to_owned(),
            response_nonce: self.nonce.clone(),
            error_detail: refusal.map(|message| Status { code: REFUSED, message, details: Vec::new() }),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_the_good_version_with_the_new_nonce() {
        let mut cds = Subscription::new(Kind::Cluster);
        let first = cds.request(Some(Node::default()), None);
        assert_eq!(first.version_info, "");
        assert!(first.node.is_some());
        cds.accept("1", "n1");
        let ack = cds.request(None, None);
        assert_eq!((ack.version_info.as_str(), ack.response_nonce.as_str()), ("1", "n1"));
        cds.refuse("n5");
        let nack = cds.request(None, Some("bad".into()));
        assert_eq!((nack.version_info.as_str(), nack.response_nonce.as_str()), ("1", "n5"));
        assert_eq!(nack.error_detail.map(|e| (e.code, e.message)), Some((13, "bad".to_owned())));
    }

    #[test]
    fn a_new_stream_keeps_versions_and_drops_nonces() {
        let mut eds = Subscription::new(Kind::Endpoints);
        assert!(eds.want(["a".to_owned()].into()));
        eds.request(None, None);
        eds.accept("7", "n7");
        eds.forget_stream();
        let again = eds.request(None, None);
        assert_eq!(again.version_info, "7");
        assert_eq!(again.response_nonce, "");
        assert_eq!(again.resource_names, ["a"]);
    }

    #[test]
    fn no_names_are_no_subscription() {
        let mut rds = Subscription::new(Kind::Routes);
        assert!(!rds.want(BTreeSet::new()));
        assert!(!rds.has_names());
        assert!(rds.want(["http_proxy".to_owned()].into()));
        rds.request(None, None);
        assert!(rds.want(BTreeSet::new()), "an unsubscription is told");
    }

    #[test]
    fn unchanged_names_are_asked_for_on_a_stream_that_was_not_asked() {
        let mut rds = Subscription::new(Kind::Routes);
        assert!(rds.want(["http_proxy".to_owned()].into()));
        rds.request(None, None);
        assert!(!rds.want(["http_proxy".to_owned()].into()), "asked already");
        rds.forget_stream();
        assert!(rds.want(["http_proxy".to_owned()].into()));
        rds.request(None, None);
        rds.forget_stream();
        assert!(!rds.want(BTreeSet::new()), "an empty list would mean all");
    }
}
