//! Who is in the demo's mesh, and which address and ports each one has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sidelight_mesh::identity::{NodeType, ProxyPorts};

/// Number of the first workload's address; the others follow.
const FIRST_HOST: u8 = 10;
/// First port of the first workload where all share an address.
const SHARED_FIRST_PORT: u16 = 16_000;
/// Ports set aside for one workload there.
const SHARED_PORTS_EACH: u16 = 100;

/// Where things listen.
#[derive(Clone, Debug)]
pub struct Network {
    /// Workloads are `base + n`, applications the same in the next /16.
    pub base: Ipv4Addr,
    /// Added to every port of a workload.
    pub offset: u16,
    /// All workloads on 127.0.0.1.
    pub shared: bool,
}

/// What a workload is called.
#[derive(Clone, Debug)]
pub struct Role {
    /// As in `reviews-v1`.
    pub workload: String,
    /// Which of the workload's instances this is, from 0.
    pub replica: u8,
    pub app: String,
    pub version: String,
    pub namespace: String,
    pub service_account: String,
    pub node_type: NodeType,
    /// Port that the service promises inside the pod, and its name.
    pub port: Option<(String, u16)>,
    /// Further labels.
    pub labels: Vec<(String, String)>,
}

/// A workload in its place.
#[derive(Clone, Debug)]
pub struct Workload {
    pub role: Role,
    /// The pod's address.
    pub ip: IpAddr,
    pub admin_port: u16,
    pub ports: ProxyPorts,
    pub inbound: Option<Inbound>,
}

#[derive(Clone, Debug)]
pub struct Inbound {
    pub name: String,
    /// The sidecar listens here.
    pub port: u16,
    /// The application listens here.
    pub app: SocketAddr,
}

impl Role {
    /// A service of `namespace` in one version, its port named `http`.
    #[must_use]
    pub fn service(app: &str, version: &str, namespace: &str, port: u16) -> Self {
        Self {
            workload: format!("{app}-{version}"),
            replica: 0,
            app: app.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            service_account: format!("{namespace}-{app}"),
            node_type: NodeType::Sidecar,
            port: Some(("http".to_owned(), port)),
            labels: Vec::new(),
        }
    }

    #[must_use]
    pub fn ingress_gateway() -> Self {
        Self {
            workload: "istio-ingressgateway".to_owned(),
            replica: 0,
            app: "istio-ingressgateway".to_owned(),
            version: "latest".to_owned(),
            namespace: "istio-system".to_owned(),
            service_account: "istio-ingressgateway".to_owned(),
            node_type: NodeType::Router,
            port: None,
            labels: vec![("istio".to_owned(), "ingressgateway".to_owned())],
        }
    }
}

impl Network {
    /// The place of the workload with this number, from 0.
    #[must_use]
    pub fn place(&self, number: u8, role: Role) -> Workload {
        if self.shared { self.place_by_port(number, role) } else { self.place_by_address(number, role) }
    }

    fn place_by_address(&self, number: u8, role: Role) -> Workload {
        let [a, b, c, d] = self.base.octets();
        let host = d.saturating_add(FIRST_HOST).saturating_add(number);
        let app_ip = Ipv4Addr::new(a, b.saturating_add(1), c, host);
        let standard = ProxyPorts::default();
        let port = |port: u16| port.saturating_add(self.offset);
        let inbound = role.port.clone().map(|(name, number)| Inbound {
            name,
            port: port(number),
            app: SocketAddr::from((app_ip, port(number))),
        });
        Workload {
            role,
            ip: Ipv4Addr::new(a, b, c, host).into(),
            admin_port: port(15_000),
            ports: ProxyPorts {
                outbound: port(standard.outbound),
                status: port(standard.status),
                readiness: port(standard.readiness),
                prometheus: port(standard.prometheus),
            },
            inbound,
        }
    }

    fn place_by_port(&self, number: u8, role: Role) -> Workload {
        let first = SHARED_FIRST_PORT.saturating_add(self.offset).saturating_add(SHARED_PORTS_EACH * u16::from(number));
        let inbound = role.port.clone().map(|(name, _)| Inbound {
            name,
            port: first + 80,
            app: SocketAddr::from((Ipv4Addr::LOCALHOST, first + 81)),
        });
        Workload {
            role,
            ip: Ipv4Addr::LOCALHOST.into(),
            admin_port: first,
            ports: ProxyPorts { outbound: first + 1, status: first + 20, readiness: first + 21, prometheus: first + 90 },
            inbound,
        }
    }
}

impl Workload {
    /// As a pod of a stateful set is called.
    #[must_use]
    pub fn instance(&self) -> String {
        format!("{}-{}", self.role.workload, self.role.replica)
    }

    /// Where the application sends its calls.
    #[must_use]
    pub fn outbound(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.ports.outbound)
    }

    /// Everything that this workload's processes will listen on.
    #[must_use]
    pub fn listens_on(&self) -> Vec<SocketAddr> {
        let ProxyPorts { outbound, status, readiness, prometheus } = self.ports;
        let mut ports = vec![self.admin_port, status, readiness, prometheus];
        if self.role.node_type == NodeType::Sidecar {
            ports.push(outbound);
        }
        ports.extend(self.inbound.as_ref().map(|inbound| inbound.port));
        let mut all: Vec<SocketAddr> = ports.into_iter().map(|port| SocketAddr::new(self.ip, port)).collect();
        all.extend(self.inbound.as_ref().map(|inbound| inbound.app));
        all
    }
}

/// The gateway first, then Bookinfo.
#[must_use]
pub fn bookinfo(network: &Network) -> Vec<Workload> {
    let service = |app: &str, version: &str| Role::service(app, version, "bookinfo", 9080);
    let roles = [
        Role::ingress_gateway(),
        service("productpage", "v1"),
        service("details", "v1"),
        service("reviews", "v1"),
        service("reviews", "v2"),
        service("reviews", "v3"),
        service("ratings", "v1"),
    ];
    (0..).zip(roles).map(|(number, role)| network.place(number, role)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn workloads_have_an_address_each_and_standard_ports() {
        let network = Network { base: Ipv4Addr::new(127, 1, 0, 0), offset: 0, shared: false };
        let mesh = bookinfo(&network);
        assert_eq!(mesh[1].ip, IpAddr::from([127, 1, 0, 11]));
        assert_eq!(mesh[1].outbound().to_string(), "127.1.0.11:15001");
        assert_eq!(mesh[1].inbound.as_ref().map(|i| i.app.to_string()).as_deref(), Some("127.2.0.11:9080"));
    }

    #[test]
    fn no_two_things_share_a_socket() {
        for (shared, offset) in [(false, 0), (true, 0), (false, 300), (true, 300)] {
            let network = Network { base: Ipv4Addr::new(127, 1, 0, 0), offset, shared };
            let all: Vec<SocketAddr> = bookinfo(&network).iter().flat_map(Workload::listens_on).collect();
            let distinct: HashSet<&SocketAddr> = all.iter().collect();
            assert_eq!(distinct.len(), all.len());
        }
    }
}
