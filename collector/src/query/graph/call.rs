//! Reads one row of metrics as a call from one peer to another, or says why it is none.

use super::options::Rates;
use super::peer::{PASSTHROUGH, Peer, UNKNOWN, known};
use crate::store::EdgeLabels;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Grpc,
    Http,
    Tcp,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Grpc, Self::Http, Self::Tcp];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Which proxy told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    Source,
    Destination,
}

/// Requests that are the same in everything the graph tells apart. Both proxies of a request describe the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call<'a> {
    pub source: Peer<'a>,
    pub destination: Peer<'a>,
    pub protocol: Protocol,
    /// HTTP status or gRPC status; `-` when no response was sent.
    pub code: &'a str,
    pub flags: &'a str,
    pub host: &'a str,
}

/// Why a row is not drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skipped {
    /// A label that the graph needs is absent.
    LabelAbsent,
    /// The source has a namespace but no name, or a place but no cluster.
    BadSource,
    /// The destination is a bare address, or has a place but no cluster.
    BadDestination,
    /// A protocol or reporter that the graph does not draw, or was told not to.
    NotWanted,
}

const EGRESS_HOST: &str = "istio-egressgateway.istio-system.svc.cluster.local";
const EGRESS_WORKLOAD: &str = "istio-egressgateway";
const EGRESS_NAMESPACE: &str = "istio-system";

/// The call that a row counts, by the rules of Kiali's graph.
///
/// # Errors
/// When the row cannot or shall not be drawn.
pub fn read(labels: &EdgeLabels, rates: Rates) -> Result<(Reporter, Call<'_>), Skipped> {
    let reporter = read_reporter(labels).ok_or(Skipped::NotWanted)?;
    if needed(labels).contains(&"") {
        return Err(Skipped::LabelAbsent);
    }
    let protocol = read_protocol(labels, rates)?;
    let source = read_source(labels)?;
    let destination = read_destination(labels, &source)?;
    let code = match protocol {
        Protocol::Tcp => "-",
        _ => response_code(protocol, &labels.response_code, &labels.grpc_response_status),
    };
    let (flags, host) = (labels.response_flags.as_ref(), labels.destination_service.as_ref());
    Ok((reporter, Call { source, destination, protocol, code, flags, host }))
}

impl Call<'_> {
    /// Whether a service node of its own is to stand between the two ends.
    #[must_use]
    pub fn passes_service(&self) -> bool {
        known(self.destination.service) && self.destination.service != PASSTHROUGH
    }
}

/// A waypoint stands in front of the destination and tells what the destination would.
fn read_reporter(labels: &EdgeLabels) -> Option<Reporter> {
    match labels.reporter.as_ref() {
        "source" => Some(Reporter::Source),
        "destination" | "waypoint" => Some(Reporter::Destination),
        _ => None,
    }
}

fn needed(labels: &EdgeLabels) -> [&str; 12] {
    [
        &labels.source_workload_namespace,
        &labels.source_workload,
        &labels.source_canonical_service,
        &labels.source_canonical_revision,
        &labels.destination_service_namespace,
        &labels.destination_service,
        &labels.destination_service_name,
        &labels.destination_workload_namespace,
        &labels.destination_workload,
        &labels.destination_canonical_service,
        &labels.destination_canonical_revision,
        &labels.response_flags,
    ]
}

fn read_protocol(labels: &EdgeLabels, rates: Rates) -> Result<Protocol, Skipped> {
    use super::options::TcpRate;
    let (protocol, wanted) = match labels.request_protocol.as_ref() {
        "http" => (Protocol::Http, rates.http),
        "grpc" => (Protocol::Grpc, rates.grpc),
        "tcp" => (Protocol::Tcp, rates.tcp != TcpRate::None),
        "" => return Err(Skipped::LabelAbsent),
        _ => return Err(Skipped::NotWanted),
    };
    if protocol != Protocol::Tcp && labels.response_code.is_empty() {
        return Err(Skipped::LabelAbsent);
    }
    if wanted { Ok(protocol) } else { Err(Skipped::NotWanted) }
}

fn read_source(labels: &EdgeLabels) -> Result<Peer<'_>, Skipped> {
    let source = Peer {
        cluster: or_unknown(&labels.source_cluster),
        service_namespace: &labels.source_workload_namespace,
        service: "",
        namespace: &labels.source_workload_namespace,
        workload: &labels.source_workload,
        app: &labels.source_canonical_service,
        version: &labels.source_canonical_revision,
    };
    let placed = known(source.namespace);
    let nameless = !known(source.workload) && !known(source.app);
    if placed && (nameless || labels.source_cluster.as_ref() == UNKNOWN) {
        return Err(Skipped::BadSource);
    }
    Ok(source)
}

fn read_destination<'a>(labels: &'a EdgeLabels, source: &Peer<'a>) -> Result<Peer<'a>, Skipped> {
    let mut destination = Peer {
        cluster: or_unknown(&labels.destination_cluster),
        service_namespace: &labels.destination_service_namespace,
        service: &labels.destination_service_name,
        namespace: &labels.destination_workload_namespace,
        workload: &labels.destination_workload,
        app: &labels.destination_canonical_service,
        version: &labels.destination_canonical_revision,
    };
    if labels.destination_service.as_ref() == EGRESS_HOST && destination.service == EGRESS_HOST {
        destination = egress_gateway(source);
    }
    // A request that never found an endpoint knows its service but no cluster: that of the caller is the best guess.
    if destination.cluster == UNKNOWN && known(source.cluster) && known(destination.service_namespace) {
        destination.cluster = source.cluster;
    }
    let host = labels.destination_service.as_ref();
    let bare_address = !known(destination.workload) && host == destination.service && is_address(host);
    let lost = known(destination.service_namespace) && !labels.destination_cluster.is_empty() && destination.cluster == UNKNOWN;
    if bare_address || lost { Err(Skipped::BadDestination) } else { Ok(destination) }
}

fn egress_gateway<'a>(source: &Peer<'a>) -> Peer<'a> {
    Peer {
        cluster: source.cluster,
        service_namespace: EGRESS_NAMESPACE,
        service: EGRESS_WORKLOAD,
        namespace: EGRESS_NAMESPACE,
        workload: EGRESS_WORKLOAD,
        app: EGRESS_WORKLOAD,
        version: "latest",
    }
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { UNKNOWN } else { word }
}

/// `1.2.3.4` or `1.2.3.4:80`.
fn is_address(host: &str) -> bool {
    let address = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(address, _)| address);
    address.parse::<std::net::Ipv4Addr>().is_ok()
}

/// The status that matters to the caller: of gRPC its own, unless HTTP already failed.
fn response_code<'a>(protocol: Protocol, http: &'a str, grpc: &'a str) -> &'a str {
    if http == "0" {
        return "-";
    }
    let http_failed = http.starts_with('4') || http.starts_with('5');
    if protocol == Protocol::Grpc && !grpc.is_empty() && !http_failed { grpc } else { http }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Protocol, Reporter, Skipped, is_address, read, response_code};
    use crate::query::graph::fixture::{labels, with};
    use crate::query::graph::options::{Rates, TcpRate};
    use crate::store::EdgeLabels;

    const ALL: Rates = Rates { http: true, grpc: true, tcp: TcpRate::Sent };

    fn skipped(changes: &[(&str, &str)]) -> Option<Skipped> {
        read(&with(labels(), changes), ALL).err()
    }

    #[test]
    fn a_plain_request() {
        let labels = labels();
        let (reporter, call) = read(&labels, ALL).unwrap();
        assert_eq!(reporter, Reporter::Destination);
        assert_eq!((call.source.workload, call.destination.workload), ("productpage-v1", "reviews-v2"));
        assert_eq!((call.protocol, call.code, call.flags), (Protocol::Http, "200", "-"));
        assert_eq!(call.host, "reviews.bookinfo.svc.cluster.local");
    }

    #[test]
    fn every_needed_label_must_be_there() {
        for name in EdgeLabels::NAMES {
            let optional = [
                "source_principal",
                "source_app",
                "source_version",
                "source_cluster",
                "destination_principal",
                "destination_app",
                "destination_version",
                "destination_cluster",
                "grpc_response_status",
                "connection_security_policy",
                "telemetry",
            ];
            let expected = match name {
                "reporter" => Some(Skipped::NotWanted),
                _ if optional.contains(&name) => None,
                _ => Some(Skipped::LabelAbsent),
            };
            assert_eq!(skipped(&[(name, "")]), expected, "{name}");
        }
    }

    #[test]
    fn bad_sources_are_skipped() {
        let nameless = [("source_workload", "unknown"), ("source_canonical_service", "unknown")];
        assert_eq!(skipped(&nameless), Some(Skipped::BadSource));
        assert_eq!(skipped(&[("source_cluster", "unknown")]), Some(Skipped::BadSource));
        let outside = [
            ("source_workload", "unknown"),
            ("source_canonical_service", "unknown"),
            ("source_workload_namespace", "unknown"),
            ("source_cluster", "unknown"),
        ];
        assert_eq!(skipped(&outside), None);
    }

    #[test]
    fn bad_destinations_are_skipped() {
        let address = [
            ("destination_workload", "unknown"),
            ("destination_service", "10.0.0.1:80"),
            ("destination_service_name", "10.0.0.1:80"),
        ];
        assert_eq!(skipped(&address), Some(Skipped::BadDestination));
        let lost = [
            ("destination_cluster", "unknown"),
            ("source_cluster", "unknown"),
            ("source_workload", "unknown"),
            ("source_canonical_service", "unknown"),
            ("source_workload_namespace", "unknown"),
        ];
        assert_eq!(skipped(&lost), Some(Skipped::BadDestination));
    }

    #[test]
    fn an_unknown_destination_cluster_is_that_of_the_caller() {
        let labels = with(labels(), &[("destination_cluster", "unknown")]);
        assert_eq!(read(&labels, ALL).unwrap().1.destination.cluster, "c");
    }

    #[test]
    fn the_egress_gateway_is_found_by_its_host() {
        let host = "istio-egressgateway.istio-system.svc.cluster.local";
        let labels = with(
            labels(),
            &[("destination_service", host), ("destination_service_name", host), ("destination_workload", "unknown")],
        );
        let (_, call) = read(&labels, ALL).unwrap();
        assert_eq!((call.destination.workload, call.destination.namespace), ("istio-egressgateway", "istio-system"));
    }

    #[test]
    fn rates_that_were_not_asked_for_are_left_out() {
        let none = Rates { http: false, grpc: true, tcp: TcpRate::None };
        assert_eq!(read(&labels(), none).err(), Some(Skipped::NotWanted));
        let tcp = with(labels(), &[("request_protocol", "tcp"), ("response_code", "")]);
        assert_eq!(read(&tcp, none).err(), Some(Skipped::NotWanted));
        assert_eq!(read(&tcp, ALL).unwrap().1.code, "-");
        assert_eq!(skipped(&[("request_protocol", "mongo")]), Some(Skipped::NotWanted));
    }

    #[test]
    fn codes_of_http_and_grpc() {
        for (protocol, http, grpc, code) in [
            (Protocol::Http, "200", "", "200"),
            (Protocol::Http, "0", "", "-"),
            (Protocol::Grpc, "200", "0", "0"),
            (Protocol::Grpc, "200", "14", "14"),
            (Protocol::Grpc, "200", "", "200"),
            (Protocol::Grpc, "503", "14", "503"),
            (Protocol::Grpc, "0", "1", "-"),
        ] {
            assert_eq!(response_code(protocol, http, grpc), code, "{http} {grpc}");
        }
    }

    #[test]
    fn bare_addresses_are_recognised() {
        for (host, yes) in
            [("10.0.0.1", true), ("10.0.0.1:9080", true), ("reviews", false), ("10.0.0.1.nip.io", false), ("10.0.0.1:x", false)]
        {
            assert_eq!(is_address(host), yes, "{host}");
        }
    }
}
