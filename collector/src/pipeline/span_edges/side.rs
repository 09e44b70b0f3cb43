//! Which workload a span belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::tags::{Tag, Tags, short};
use crate::store::Span;

/// Workloads that are remembered; beyond, they are worked out anew.
const SIDES_MAX: usize = 20_000;

/// A workload, as far as its spans tell; empty where they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub workload: Arc<str>,
    pub namespace: Arc<str>,
    /// Canonical service.
    pub service: Arc<str>,
    pub revision: Arc<str>,
    pub cluster: Arc<str>,
}

impl Side {
    pub fn is_same_workload(&self, other: &Self) -> bool {
        self.workload == other.workload && self.namespace == other.namespace
    }
}

/// Each workload once, so that it can be told by its address.
#[derive(Default)]
pub(super) struct Sides {
    /// By a hash of all that it is made of: two of 64 bits that are alike do not happen in one process's life.
    known: HashMap<u64, Arc<Side>, RandomState>,
    hasher: RandomState,
}

/// What a span or its process tells, in the order of precedence.
#[derive(Hash)]
struct Told<'a> {
    service: &'a str,
    node_id: Option<&'a str>,
    canonical_service: Option<&'a str>,
    revision: Option<&'a str>,
    namespace: Option<&'a str>,
    workload: Option<&'a str>,
    pod: Option<&'a str>,
    cluster: Option<&'a str>,
}

impl Sides {
    pub fn of(&mut self, span: &Span, tags: &Tags<'_>) -> Arc<Side> {
        let told = Told::of(span, tags);
        let hash = self.hasher.hash_one(&told);
        if let Some(side) = self.known.get(&hash) {
            return Arc::clone(side);
        }
        if self.known.len() >= SIDES_MAX {
            self.known.clear();
        }
        let side = Arc::new(told.side());
        self.known.insert(hash, Arc::clone(&side));
        side
    }
}

impl<'a> Told<'a> {
    fn of(span: &'a Span, tags: &Tags<'a>) -> Self {
        let resource = |name: &str| {
            let found = span.resource.attributes.iter().find(|(known, _)| **known == *name);
            found.and_then(|(_, value)| short(value)).map(|text| &**text)
        };
        let tag = |tag: Tag| tags.text(tag).map(|text| &**text);
        Self {
            service: span.service(),
            node_id: tag(Tag::NodeId),
            canonical_service: tag(Tag::CanonicalService),
            revision: tag(Tag::CanonicalRevision).or_else(|| resource("service.version")),
            namespace: tag(Tag::Namespace).or_else(|| resource("k8s.namespace.name")).or_else(|| resource("service.namespace")),
            workload: resource("k8s.deployment.name")
                .or_else(|| resource("k8s.statefulset.name"))
                .or_else(|| resource("k8s.daemonset.name")),
            pod: resource("k8s.pod.name"),
            cluster: tag(Tag::Cluster).or_else(|| resource("k8s.cluster.name")),
        }
    }

    fn side(&self) -> Side {
        // `sidecar~10.0.0.1~reviews-v1-6b7f-x2x7p.bookinfo~bookinfo.svc.cluster.local`
        let (node_pod, node_namespace) =
            self.node_id.and_then(|id| id.split('~').nth(2)).and_then(|id| id.rsplit_once('.')).unzip();
        // Istio's service names end with the namespace; a name with more dots, or one whose namespace is told, is whole.
        let (name, name_namespace) = match self.service.split_once('.') {
            Some((name, namespace)) if !namespace.contains('.') && (self.namespace.is_none_or(|told| told == namespace)) => {
                (name, Some(namespace))
            }
            _ => (self.service, None),
        };
        let is_known = |text: &&str| !text.is_empty() && *text != "unknown";
        let workload = self.workload.or_else(|| self.pod.or(node_pod).map(without_replica)).filter(is_known);
        let namespace = node_namespace.or(self.namespace).or(name_namespace).filter(is_known);
        Side {
            workload: workload.unwrap_or(name).into(),
            namespace: namespace.unwrap_or_default().into(),
            service: self.canonical_service.filter(is_known).unwrap_or(name).into(),
            revision: self.revision.filter(is_known).unwrap_or_default().into(),
            cluster: self.cluster.filter(is_known).unwrap_or_default().into(),
        }
    }
}

/// `reviews-v1-6b7f6db6c-x2x7p` and `reviews-v1-0` are of `reviews-v1`.
fn without_replica(pod: &str) -> &str {
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return rest;
    }
    // Kubernetes' random suffixes have five characters, the hash of a replica set up to ten.
    match rest.rsplit_once('-') {
        Some((name, hash)) if last.len() == 5 && (5..=10).contains(&hash.len()) && hash.bytes().any(|b| b.is_ascii_digit()) => {
            name
        }
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::without_replica;

    #[test]
    fn pods_are_of_their_workloads() {
        for (pod, workload) in [
            ("reviews-v1-6b7f6db6c-x2x7p", "reviews-v1"),
            ("reviews-v1-0", "reviews-v1"),
            ("reviews-v1", "reviews-v1"),
            ("web-front-office", "web-front-office"),
            ("web", "web"),
        ] {
            assert_eq!(without_replica(pod), workload);
        }
    }
}
