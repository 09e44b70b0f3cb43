//! Where a client itself points, and which of those addresses a proxy must not lead to.

use std::net::{IpAddr, SocketAddr};

use crate::config::route::without_port;
use crate::upstream::dns::Resolver;

/// Addresses of this sidecar, as a client could ask for them.
#[derive(Clone, Debug)]
pub struct Own {
    /// The node's addresses, its first one first.
    pub ips: Vec<IpAddr>,
    /// Admin and status ports: only for those who reach them without us.
    pub interfaces: Vec<SocketAddr>,
}

impl Own {
    /// An original-destination cluster must not lead from the network to what listens for this host alone.
    pub fn refuses(&self, to: SocketAddr) -> bool {
        let (ip, port) = (to.ip().to_canonical(), to.port());
        if ip.is_unspecified() {
            return true;
        }
        let node_is_loopback = self.ips.first().is_some_and(|own| own.to_canonical().is_loopback());
        if ip.is_loopback() && !node_is_loopback {
            return true;
        }
        let ours = ip.is_loopback() || self.ips.iter().any(|own| own.to_canonical() == ip);
        self.interfaces.iter().any(|interface| {
            let bound = interface.ip().to_canonical();
            interface.port() == port && (bound == ip || (bound.is_unspecified() && ours))
        })
    }
}

/// Where the client itself points; what an original-destination cluster connects to.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    pub authority: &'a str,
    /// The address that the request came to, which is no destination.
    pub listener: SocketAddr,
    pub own: &'a Own,
    pub resolver: &'a Resolver,
}

/// Why a destination leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    BadPort,
    Unresolved,
    /// A request for the listener that it came to would come back for ever.
    Loop,
    Refused,
}

impl Destination<'_> {
    pub async fn address(&self) -> Result<SocketAddr, Nowhere> {
        let host = without_port(self.authority);
        let port = match self.authority.get(host.len() + 1..) {
            Some(port) => port.parse().map_err(|_| Nowhere::BadPort)?,
            None => 80,
        };
        let address = self.resolver.resolve(host, port).await.map_err(|_| Nowhere::Unresolved)?;
        match address {
            address if address == self.listener => Err(Nowhere::Loop),
            // Names are judged by what they resolve to.
            address if self.own.refuses(address) => Err(Nowhere::Refused),
            address => Ok(address),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn own(ip: &str, interfaces: &[&str]) -> Own {
        Own { ips: vec![ip.parse().unwrap()], interfaces: interfaces.iter().map(|at| at.parse().unwrap()).collect() }
    }

    fn refused<'a>(own: &Own, of: &[&'a str]) -> Vec<&'a str> {
        of.iter().copied().filter(|to| own.refuses(to.parse().unwrap())).collect()
    }

    #[test]
    fn a_pod_in_a_network_leads_to_no_loopback_and_not_to_itself() {
        let pod = own("10.1.2.3", &["127.0.0.1:15000", "0.0.0.0:15020"]);
        let all = [
            "127.0.0.1:15020",
            "127.9.9.9:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
            "0.0.0.0:80",
            "[::]:80",
            "10.1.2.3:15020",
            "[::ffff:10.1.2.3]:15020",
        ];
        assert_eq!(refused(&pod, &all), all);
        assert_eq!(refused(&pod, &["10.1.2.3:9080", "10.1.2.4:15020", "93.184.215.14:80"]), [] as [&str; 0]);
    }

    #[test]
    fn a_pod_on_loopback_leads_to_its_neighbours() {
        let pod = own("127.1.0.11", &["127.1.0.11:15000", "127.1.0.11:15020"]);
        let refused_here = ["127.1.0.11:15000", "127.1.0.11:15020", "0.0.0.0:15020"];
        assert_eq!(refused(&pod, &refused_here), refused_here);
        assert_eq!(refused(&pod, &["127.1.0.12:15020", "127.0.0.1:8000", "127.1.0.11:9080"]), [] as [&str; 0]);
        let everywhere = own("127.1.0.11", &["0.0.0.0:15020"]);
        assert!(everywhere.refuses("127.0.0.1:15020".parse().unwrap()));
    }
}
