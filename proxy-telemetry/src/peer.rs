//! Metadata exchange: who we are told to peers in two headers, and who they are read from theirs.

mod cache;
mod codec;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use sidelight_mesh::identity::{NodeIdentity, PeerIdentity};

pub use cache::{PEERS_MAX, PeerCache};
pub use codec::{METADATA_BYTES_MAX, PeerError, decode, encode};

/// Carries the sender's node id, verbatim.
pub const PEER_METADATA_ID: HeaderName = HeaderName::from_static("x-envoy-peer-metadata-id");
/// Carries the sender's workload as a base64 `google.protobuf.Struct`.
pub const PEER_METADATA: HeaderName = HeaderName::from_static("x-envoy-peer-metadata");

/// Where the knowledge of a peer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerSource {
    /// The peer said so itself.
    Exchange,
    /// The control plane said so of the endpoint; app and version are not known then.
    Endpoint,
}

/// The other side of an exchange. Make one and share it: metric series are found by its number.
#[derive(Debug)]
pub struct Peer {
    number: u64,
    pub identity: PeerIdentity,
    pub source: PeerSource,
}

impl Peer {
    /// Wraps what a peer told of itself.
    #[must_use]
    pub fn from_exchange(identity: PeerIdentity) -> Arc<Self> {
        Self::new(identity, PeerSource::Exchange)
    }

    /// Reads an endpoint's `filter_metadata.istio.workload`; `None` with fewer than five fields.
    /// To be called once when the endpoint arrives, not per request.
    #[must_use]
    pub fn from_endpoint_metadata(text: &str) -> Option<Arc<Self>> {
        let identity = PeerIdentity::from_endpoint_metadata(text)?;
        Some(Self::new(identity, PeerSource::Endpoint))
    }

    fn new(identity: PeerIdentity, source: PeerSource) -> Arc<Self> {
        Arc::new(Self { number: next_number(), identity, source })
    }

    /// Never used twice in a process, so it can stand for the peer in a key.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// The next of the numbers by which shared label sources are told apart; 0 means "none".
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// This proxy's own two header values, made once.
#[derive(Clone, Debug)]
pub struct OwnHeaders {
    id: Option<HeaderValue>,
    metadata: HeaderValue,
}

impl OwnHeaders {
    /// Encodes the identity. A node id that is no legal header value is left out.
    #[must_use]
    pub fn new(identity: &NodeIdentity) -> Self {
        Self {
            id: HeaderValue::from_str(&identity.node_id).ok(),
            metadata: HeaderValue::from_str(&encode(&identity.to_exchange())).expect("base64 is legal in a header value"),
        }
    }

    /// Adds both headers, replacing whatever a client may have put there.
    pub fn add(&self, headers: &mut HeaderMap) {
        self.answer(Received { id: true, metadata: true }, headers);
    }

    /// Adds each header only if its counterpart was received, so that plain clients never see them.
    pub fn answer(&self, received: Received, headers: &mut HeaderMap) {
        if let (true, Some(id)) = (received.id, &self.id) {
            headers.insert(PEER_METADATA_ID, id.clone());
        }
        if received.metadata {
            headers.insert(PEER_METADATA, self.metadata.clone());
        }
    }
}

/// Which of the two headers a message had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub id: bool,
    pub metadata: bool,
}

impl Received {
    /// Looks without removing.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self { id: headers.contains_key(&PEER_METADATA_ID), metadata: headers.contains_key(&PEER_METADATA) }
    }
}

/// Removes both headers, before an application or a client sees them.
pub fn strip(headers: &mut HeaderMap) {
    headers.remove(&PEER_METADATA_ID);
    headers.remove(&PEER_METADATA);
}

#[cfg(test)]
mod tests;
