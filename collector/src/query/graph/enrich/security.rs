//! Tells how much of an edge's traffic came with mutual TLS, and who the two ends proved to be.

use crate::query::graph::traffic::TrafficMap;
use crate::query::rounding;

/// The share is of what destinations reported: callers' proxies do not say.
pub fn enrich(map: &mut TrafficMap) {
    for edge in map.edges.values_mut() {
        let security = &edge.security;
        if security.mutual > 0 {
            edge.is_mtls = Some(rounding::whole(rounding::share(security.mutual, security.seen)));
        }
        edge.source_principal.clone_from(&security.source_principal);
        edge.destination_principal.clone_from(&security.destination_principal);
    }
}

#[cfg(test)]
mod tests;
