//! Names to addresses: for clusters of names, and for destinations that a client wrote down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::Upstreams;
use crate::config::cluster::Discovery;

/// How often the names of a cluster are looked up again; Envoy's default.
pub const REFRESH: Duration = Duration::from_secs(5);
/// Addresses taken from one answer.
const ADDRESSES_MAX: usize = 64;

/// Names remembered at once; beyond this, the cache starts over.
const NAMES_MAX: usize = 1024;
/// Look-ups under way at once: each occupies a thread of the runtime's blocking pool.
const LOOKUPS_MAX: usize = 8;

/// Addresses of destinations that clients wrote down, remembered for a moment.
#[derive(Debug)]
pub struct Resolver {
    known: Mutex<AHashMap<String, (Instant, IpAddr)>>,
    lookups: Semaphore,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { known: Mutex::default(), lookups: Semaphore::new(LOOKUPS_MAX) }
    }
}

impl Resolver {
    /// First address of a name; an address needs no look-up.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        if let Some(ip) = literal(host) {
            return Ok(SocketAddr::new(ip, port));
        }
        let known = self.known.lock().get(host).copied();
        if let Some((since, ip)) = known
            && since.elapsed() < REFRESH
        {
            return Ok(SocketAddr::new(ip, port));
        }
        let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
        let mut found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        // Where a name has both families, the one that nearly every listener has goes first.
        found.sort_by_key(SocketAddr::is_ipv6);
        let first = found.first().copied();
        let address = first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        let mut known = self.known.lock();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(host.to_owned(), (Instant::now(), address.ip()));
        Ok(address)
    }
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
        let resolver = Resolver::default();
        assert_eq!(resolver.resolve("127.0.0.1", 80).await.unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(resolver.resolve("[::1]", 80).await.unwrap(), "[::1]:80".parse().unwrap());
        assert!(resolver.known.lock().is_empty());
    }

    #[tokio::test]
    async fn names_prefer_ipv4_and_are_remembered_for_every_port() {
        let resolver = Resolver::default();
        assert!(resolver.resolve("localhost", 80).await.unwrap().is_ipv4());
        assert_eq!(resolver.known.lock().len(), 1);
        assert_eq!(resolver.resolve("localhost", 81).await.unwrap().port(), 81);
        assert_eq!(resolver.known.lock().len(), 1);
    }
}
