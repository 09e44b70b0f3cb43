//! Decoded peers by node id, so that a header is decoded once and not per request.

use std::sync::Arc;

use ahash::AHashMap;
use http::HeaderMap;
use parking_lot::RwLock;
use sidelight_mesh::identity::PeerIdentity;

use super::{PEER_METADATA, PEER_METADATA_ID, Peer, codec};

/// Peers remembered; when one more arrives, a quarter of them is forgotten.
pub const PEERS_MAX: usize = 500;

struct Known {
    /// Compared on every use: a restarted workload may speak differently under its old id.
    encoded: Box<[u8]>,
    peer: Arc<Peer>,
}

/// A bounded memory of peers, shared by all workers.
#[derive(Default)]
pub struct PeerCache {
    known: RwLock<AHashMap<Box<[u8]>, Known>>,
}

impl PeerCache {
    /// The peer that a message's headers describe; `None` when they are absent or cannot be read.
    pub fn read(&self, headers: &HeaderMap) -> Option<Arc<Peer>> {
        let encoded = headers.get(&PEER_METADATA)?.as_bytes();
        let Some(id) = headers.get(&PEER_METADATA_ID) else {
            return decode(encoded);
        };
        if let Some(known) = self.known.read().get(id.as_bytes())
            && *known.encoded == *encoded
        {
            return Some(Arc::clone(&known.peer));
        }
        let peer = decode(encoded)?;
        self.remember(id.as_bytes(), encoded, &peer);
        Some(peer)
    }

    /// How many peers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.read().len()
    }

    /// Whether no peer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remember(&self, id: &[u8], encoded: &[u8], peer: &Arc<Peer>) {
        let mut known = self.known.write();
        if known.len() >= PEERS_MAX && !known.contains_key(id) {
            forget_a_quarter(&mut known);
        }
        known.insert(id.into(), Known { encoded: encoded.into(), peer: Arc::clone(peer) });
    }
}

fn forget_a_quarter(known: &mut AHashMap<Box<[u8]>, Known>) {
    let mut left = PEERS_MAX / 4;
    known.retain(|_, _| {
        let keep = left == 0;
        left = left.saturating_sub(1);
        keep
    });
}

fn decode(encoded: &[u8]) -> Option<Arc<Peer>> {
    match codec::decode(encoded) {
        Ok(fields) => Some(Peer::from_exchange(PeerIdentity::from_exchange(&fields))),
        Err(error) => {
            tracing::debug!(%error, "peer metadata ignored");
            None
        }
    }
}
