//! Names to addresses: for clusters of names, and for destinations that a client wrote down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Upstreams;
use crate::config::cluster::Discovery;

/// How often the names of a cluster are looked up again; Envoy's default.
pub const REFRESH: Duration = Duration::from_secs(5);
/// Addresses taken from one answer.
const ADDRESSES_MAX: usize = 64;

/// First address of a name, without a look-up for an address.
pub async fn resolve_one(host: &str, port: u16) -> io::Result<SocketAddr> {
    if let Some(ip) = literal(host) {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    // Where a name has both families, the one that nearly every listener has goes first.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Looks up every name of every DNS cluster once; a failed look-up keeps the hosts known so far.
pub async fn refresh(upstreams: &Upstreams) {
    for cluster in upstreams.all().values() {
        let Discovery::Dns(endpoints) = &cluster.config.discovery else {
            continue;
        };
        let mut hosts = Vec::new();
        let mut failed = false;
        for endpoint in endpoints {
            if let Some(ip) = literal(&endpoint.host) {
                hosts.push((SocketAddr::new(ip, endpoint.port), endpoint.clone()));
                continue;
            }
            match tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await {
                Ok(found) => {
                    hosts.extend(found.take(ADDRESSES_MAX).map(|ip| (ip, endpoint.clone())));
                }
                Err(error) => {
                    failed = true;
                    tracing::debug!(cluster = %cluster.config.name, host = endpoint.host, %error, "name not resolved");
                }
            }
        }
        if !failed || !hosts.is_empty() {
            cluster.set_hosts(hosts.into_iter());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_need_no_look_up() {
        assert_eq!(resolve_one("127.0.0.1", 80).await.unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(resolve_one("[::1]", 80).await.unwrap(), "[::1]:80".parse().unwrap());
    }

    #[tokio::test]
    async fn localhost_prefers_ipv4() {
        assert!(resolve_one("localhost", 80).await.unwrap().is_ipv4());
    }
}
