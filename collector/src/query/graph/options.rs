//! What a graph was asked for: reads and checks the query string of the graph API.

use std::collections::BTreeSet;

use sidelight_api::graph::GraphType;

use crate::query::params::{ParamError, Params};
use crate::query::window::{Moment, Span};
use crate::store::Window;

/// Seconds of a graph whose request names no `duration`.
pub const DURATION_S_DEFAULT: u64 = 600;
/// Namespaces that one request may name.
pub const NAMESPACES_MAX: usize = 10_000;

/// The decoded parameters.
#[derive(Clone, Debug)]
pub struct GraphOptions {
    /// `None`: all of them.
    pub namespaces: Option<BTreeSet<String>>,
    pub graph_type: GraphType,
    /// What rates are of.
    pub window: Window,
    /// Steps behind the window that are still being filled: what is new there is shown, too.
    pub fresh: Option<Window>,
    pub inject_services: bool,
    pub include_idle_edges: bool,
    pub boxes: Boxes,
    pub appenders: Appenders,
    pub response_time: ResponseTime,
    pub throughput: ThroughputType,
    pub rates: Rates,
}

/// Which boxes to draw around nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    pub app: bool,
    pub namespace: bool,
    pub cluster: bool,
}

/// Number that stands for an edge's response times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResponseTime {
    Average,
    Quantile(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThroughputType {
    Request,
    Response,
}

/// Which traffic to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub http: bool,
    pub grpc: bool,
    pub tcp: TcpRate,
}

/// Bytes by direction as the client sees it: what a client sends, its proxies count as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpRate {
    None,
    Sent,
    Received,
    Total,
}

/// The second step of building a graph, by Kiali's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Appender {
    DeadNode,
    Health,
    IdleNode,
    Istio,
    Labeler,
    MeshCheck,
    ResponseTime,
    SecurityPolicy,
    Throughput,
}

/// The appenders to run. The outsider and traffic-generator steps always run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appenders(BTreeSet<Appender>);

impl Appenders {
    const WORDS: [(&str, Option<Appender>); 17] = [
        ("deadNode", Some(Appender::DeadNode)),
        ("health", Some(Appender::Health)),
        ("idleNode", Some(Appender::IdleNode)),
        ("istio", Some(Appender::Istio)),
        ("labeler", Some(Appender::Labeler)),
        ("meshCheck", Some(Appender::MeshCheck)),
        ("sidecarsCheck", Some(Appender::MeshCheck)),
        ("responseTime", Some(Appender::ResponseTime)),
        ("securityPolicy", Some(Appender::SecurityPolicy)),
        ("throughput", Some(Appender::Throughput)),
        // Known to Kiali's clients and without effect here: they always run, or have nothing to add.
        ("outsider", None),
        ("trafficGenerator", None),
        ("aggregateNode", None),
        ("ambient", None),
        ("extensions", None),
        ("serviceEntry", None),
        ("workloadEntry", None),
    ];

    #[must_use]
    pub fn all() -> Self {
        Self(Self::WORDS.iter().filter_map(|(_, appender)| *appender).collect())
    }

    #[must_use]
    pub fn only(appenders: impl IntoIterator<Item = Appender>) -> Self {
        Self(appenders.into_iter().collect())
    }

    #[must_use]
    pub fn has(&self, appender: Appender) -> bool {
        self.0.contains(&appender)
    }

    /// Absent: all; empty: none.
    fn read(params: &Params) -> Result<Self, ParamError> {
        if params.get("appenders").is_none() {
            return Ok(Self::all());
        }
        let mut chosen = BTreeSet::new();
        for word in params.list("appenders")? {
            let known = Self::WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word));
            let (_, appender) = known.ok_or_else(|| unknown_word("appenders", &word, Self::WORDS.iter().map(|w| w.0)))?;
            chosen.extend(*appender);
        }
        Ok(Self(chosen))
    }
}

impl GraphOptions {
    /// Everything that was left out, over the window that ends at `window.to_ms`.
    #[must_use]
    pub fn new(graph_type: GraphType, window: Window) -> Self {
        Self {
            namespaces: None,
            graph_type,
            window,
            fresh: None,
            inject_services: graph_type == GraphType::Service,
            include_idle_edges: false,
            boxes: Boxes::default(),
            appenders: Appenders::all(),
            response_time: ResponseTime::Quantile(0.95),
            throughput: ThroughputType::Response,
            rates: Rates { http: true, grpc: true, tcp: TcpRate::Sent },
        }
    }

    /// Reads the query string of a graph request.
    ///
    /// # Errors
    /// The first parameter that cannot be read, by name.
    pub fn read(params: &Params, moment: &Moment) -> Result<Self, ParamError> {
        let graph_type = read_graph_type(params)?;
        let span = Span::read(params, moment, DURATION_S_DEFAULT)?;
        let inject = params.flag("injectServiceNodes", false)?;
        Ok(Self {
            namespaces: read_namespaces(params)?,
            fresh: span.fresh,
            inject_services: inject || graph_type == GraphType::Service,
            include_idle_edges: params.flag("includeIdleEdges", false)?,
            boxes: Boxes::read(params)?,
            appenders: Appenders::read(params)?,
            response_time: read_response_time(params)?,
            throughput: params.choice("throughputType", &THROUGHPUT_WORDS, ThroughputType::Response)?,
            rates: read_rates(params)?,
            ..Self::new(graph_type, span.settled)
        })
    }

    #[must_use]
    pub fn wants(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|wanted| wanted.contains(namespace))
    }
}

impl Boxes {
    fn read(params: &Params) -> Result<Self, ParamError> {
        let mut boxes = Self::default();
        for word in params.list("boxBy")? {
            match word.to_ascii_lowercase().as_str() {
                "app" => boxes.app = true,
                "namespace" => boxes.namespace = true,
                "cluster" => boxes.cluster = true,
                "none" => {}
                _ => return Err(unknown_word("boxBy", &word, ["app", "namespace", "cluster", "none"].into_iter())),
            }
        }
        Ok(boxes)
    }
}

const THROUGHPUT_WORDS: [(&str, ThroughputType); 2] =
    [("request", ThroughputType::Request), ("response", ThroughputType::Response)];

/// Reads `graphType`.
///
/// # Errors
/// When it is none of the four.
pub fn read_graph_type(params: &Params) -> Result<GraphType, ParamError> {
    let words = GraphType::ALL.map(|t| (t.as_str(), t));
    params.choice("graphType", &words, GraphType::Workload)
}

/// Reads `namespaces`: empty or absent means all.
///
/// # Errors
/// When there are too many.
pub fn read_namespaces(params: &Params) -> Result<Option<BTreeSet<String>>, ParamError> {
    let list = params.list("namespaces")?;
    if list.len() > NAMESPACES_MAX {
        return Err(ParamError::new("namespaces", format!("names more than {NAMESPACES_MAX}; leave it empty for all")));
    }
    Ok(Some(list).filter(|list| !list.is_empty()))
}

fn read_response_time(params: &Params) -> Result<ResponseTime, ParamError> {
    let words = [
        ("avg", ResponseTime::Average),
        ("50", ResponseTime::Quantile(0.5)),
        ("95", ResponseTime::Quantile(0.95)),
        ("99", ResponseTime::Quantile(0.99)),
    ];
    params.choice("responseTime", &words, ResponseTime::Quantile(0.95))
}

fn read_rates(params: &Params) -> Result<Rates, ParamError> {
    let http = params.choice("rateHttp", &[("requests", true), ("none", false)], true)?;
    let grpc_words = [("requests", true), ("none", false)];
    if let Some(word @ ("sent" | "received" | "total")) = params.filled("rateGrpc") {
        return Err(ParamError::new(
            "rateGrpc",
            format!("`{word}` counts messages, which this graph does not; use requests or none"),
        ));
    }
    let grpc = params.choice("rateGrpc", &grpc_words, true)?;
    let tcp_words =
        [("none", TcpRate::None), ("sent", TcpRate::Sent), ("received", TcpRate::Received), ("total", TcpRate::Total)];
    let tcp = params.choice("rateTcp", &tcp_words, TcpRate::Sent)?;
    Ok(Rates { http, grpc, tcp })
}

fn unknown_word<'a>(name: &str, word: &str, known: impl Iterator<Item = &'a str>) -> ParamError {
    let known: Vec<&str> = known.collect();
    ParamError::new(name, format!("`{word}` is not one of {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Appender, Appenders, Boxes, GraphOptions, ResponseTime, TcpRate, ThroughputType};
    use crate::query::params::Params;
    use crate::query::window::Moment;
    use sidelight_api::graph::GraphType;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn read(query: &str) -> Result<GraphOptions, String> {
        GraphOptions::read(&Params::parse(query), &Moment { now_ms: NOW_MS, ..Moment::default() }).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_kiali() {
        let options = read("").unwrap();
        assert_eq!(options.namespaces, None);
        assert_eq!(options.graph_type, GraphType::Workload);
        assert_eq!((options.window.from_ms, options.window.to_ms), (NOW_MS - 600_000, NOW_MS));
        assert!(!options.inject_services && !options.include_idle_edges);
        assert_eq!(options.boxes, Boxes::default());
        assert_eq!(options.appenders, Appenders::all());
        assert_eq!(options.response_time, ResponseTime::Quantile(0.95));
        assert_eq!(options.throughput, ThroughputType::Response);
        assert!(options.rates.http && options.rates.grpc);
        assert_eq!(options.rates.tcp, TcpRate::Sent);
    }

    #[test]
    fn every_parameter_is_read() {
        let options = read(
            "namespaces=b,a&graphType=versionedApp&duration=60s&queryTime=1600000000&injectServiceNodes=true\
             &includeIdleEdges=true&boxBy=app,cluster&appenders=health,sidecarsCheck&responseTime=99\
             &throughputType=request&rateHttp=none&rateGrpc=none&rateTcp=total&refreshInterval=15000&ambientTraffic=total",
        )
        .unwrap();
        assert_eq!(options.namespaces.unwrap().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(options.graph_type, GraphType::VersionedApp);
        assert_eq!((options.window.from_ms, options.window.to_ms), (1_599_999_940_000, 1_600_000_000_000));
        assert!(options.inject_services && options.include_idle_edges);
        assert_eq!(options.boxes, Boxes { app: true, namespace: false, cluster: true });
        assert_eq!(options.appenders, Appenders::only([Appender::Health, Appender::MeshCheck]));
        assert_eq!(options.response_time, ResponseTime::Quantile(0.99));
        assert_eq!(options.throughput, ThroughputType::Request);
        assert!(!options.rates.http && !options.rates.grpc);
        assert_eq!(options.rates.tcp, TcpRate::Total);
    }

    #[test]
    fn an_empty_list_of_appenders_means_none() {
        assert_eq!(read("appenders=").unwrap().appenders, Appenders::only([]));
    }

    #[test]
    fn a_service_graph_always_has_services() {
        assert!(read("graphType=service").unwrap().inject_services);
    }

    #[test]
    fn wrong_words_are_refused_by_name() {
        for (query, message) in [
            ("graphType=pod", "parameter `graphType`: `pod` is not one of app, versionedApp, workload, service"),
            ("boxBy=pod", "parameter `boxBy`: `pod` is not one of app, namespace, cluster, none"),
            ("responseTime=90", "parameter `responseTime`: `90` is not one of avg, 50, 95, 99"),
            ("rateTcp=some", "parameter `rateTcp`: `some` is not one of none, sent, received, total"),
            ("rateGrpc=sent", "parameter `rateGrpc`: `sent` counts messages, which this graph does not; use requests or none"),
            ("throughputType=x", "parameter `throughputType`: `x` is not one of request, response"),
        ] {
            assert_eq!(read(query).unwrap_err(), message);
        }
        assert!(read("appenders=magic").unwrap_err().starts_with("parameter `appenders`: `magic` is not one of deadNode, "));
    }
}
