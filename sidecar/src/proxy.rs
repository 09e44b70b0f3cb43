//! The life of one request: route it, send it on or answer it, and tell what happened.

pub mod answer;
mod attempt;
pub mod body;
pub mod destination;
mod forward;
mod headers;
mod local_reply;
mod path;
mod respond;
mod rewrite;
mod tunnel;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, header, uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use sidelight_telemetry::{Downstream, Exchange, ExchangeBody, Protocol, Reporter, RequestHead};

use crate::config::http_manager::HttpManager;
use crate::config::listener::Direction;
use crate::config::matcher::RequestView;
use crate::config::route::{Route, VirtualHost, without_port};
use crate::config::route_action::{Action, Forward, Target, WeightedCluster};
use crate::listeners::RouteSource;
use crate::shared::Shared;
use crate::stats::ListenerStats;
use crate::upstream::LiveCluster;
pub use tunnel::COPY_BYTES;

use answer::AnswerBody;
use destination::Destination;
use forward::Outgoing;
use local_reply::LocalReply;

/// The upgrade type that lets the method CONNECT through.
const CONNECT: &str = "connect";

/// An HTTP listener as requests see it; replaced as a whole when its configuration changes.
pub struct Context {
    pub direction: Direction,
    pub http: Arc<HttpManager>,
    pub routes: RouteSource,
    pub stats: Arc<ListenerStats>,
    pub shared: Arc<Shared>,
}

/// Ends of the connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

pub type Answer = Response<ExchangeBody<AnswerBody>>;

/// Takes a request to its answer; it always has one.
pub async fn handle(context: Arc<Context>, ends: Ends, request: Request<Incoming>) -> Answer {
    let _active = Active::new(&context.stats);
    let (mut parts, body) = request.into_parts();
    let mut head = Head::new(&parts);
    let path_is_fine = !context.http.normalize_path || head.normalize();
    let mut exchange = start(&context, ends, &parts, &head);
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let refused = refuse(&parts, &head).or((!path_is_fine).then(local_reply::bad_path));
    if let Some(reply) = refused {
        return respond::local(&context, exchange, reply, None);
    }
    let mut work = Work { context: &context, ends, head: &head, method: parts.method, headers: parts.headers, upgrade };
    work.normalize();
    let table = context.routes.load();
    let host = table.host(&head.authority);
    if host.is_some_and(|host| host.tls_required) {
        context.stats.redirect.inc();
        return respond::local(&context, exchange, to_https(&head), None);
    }
    let Some(route) = host.and_then(|host| work.route(host)) else {
        context.stats.no_route.inc();
        return respond::local(&context, exchange, local_reply::no_route(), None);
    };
    exchange.set_route(Some(route.name.clone()), route.operation.clone());
    match &route.action {
        Action::Direct(status, body) => {
            context.stats.direct_response.inc();
            let reply = local_reply::direct(*status, body.clone());
            respond::local(&context, exchange, reply, Some(&route))
        }
        Action::Redirect(redirect) => {
            context.stats.redirect.inc();
            let to = rewrite::location(&route, redirect, &head.authority, &head.path);
            let reply = match to.parse() {
                Ok(location) => local_reply::redirect(redirect.status, location),
                Err(_) => local_reply::direct(StatusCode::BAD_REQUEST, bytes::Bytes::new()),
            };
            respond::local(&context, exchange, reply, Some(&route))
        }
        Action::Forward(to) => work.forward(&route, to, body, exchange).await,
    }
}

/// What the request line and the host header say together.
struct Head {
    authority: String,
    /// Path with query.
    path: String,
}

impl Head {
    /// In the absolute form the target decides, not the host header.
    fn new(parts: &http::request::Parts) -> Self {
        let authority = match parts.uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => parts
                .headers
                .get(header::HOST)
                .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
                .unwrap_or_default(),
        };
        // Credentials in a target are for nobody but the first hop.
        let authority = match authority.rsplit_once('@') {
            Some((_, host)) => host.to_owned(),
            None => authority,
        };
        Self {
            authority,
            path: match parts.uri.path_and_query() {
                Some(path) if !path.as_str().is_empty() => path.as_str().to_owned(),
                _ if parts.method == Method::CONNECT => String::new(),
                _ => "/".to_owned(),
            },
        }
    }

    /// False when the path has no normal form.
    fn normalize(&mut self) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let normal = match path::normalize(&self.path) {
            None => return false,
            Some(std::borrow::Cow::Borrowed(_)) => return true,
            Some(std::borrow::Cow::Owned(normal)) => normal,
        };
        self.path = normal;
        true
    }

    fn split(&self) -> (&str, Option<&str>) {
        match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.path, None),
        }
    }
}

fn start(context: &Context, ends: Ends, parts: &http::request::Parts, head: &Head) -> Exchange {
    let reporter = match context.direction {
        Direction::Inbound => Reporter::Destination,
        Direction::Outbound | Direction::Unspecified => Reporter::Source,
    };
    let edge = context.http.use_remote_address;
    let told = match edge {
        true => None,
        false => last_forwarded(&parts.headers),
    };
    let scheme = parts
        .headers
        .get(headers::FORWARDED_PROTO)
        .and_then(|proto| proto.to_str().ok())
        .filter(|proto| matches!(*proto, "http" | "https") && !edge)
        .unwrap_or("http");
    let request = RequestHead {
        method: parts.method.as_str(),
        path: &head.path,
        authority: &head.authority,
        scheme,
        protocol: Protocol::from(parts.version),
        headers: &parts.headers,
        downstream: Downstream {
            local: Some(ends.local),
            remote: Some(told.map_or(ends.peer, |ip| SocketAddr::new(ip, 0))),
            direct_remote: Some(ends.peer),
            server_name: None,
            tls: None,
        },
        internal: false,
    };
    context.shared.telemetry.start(reporter, &request)
}

/// The address that the proxy before us added.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get_all(headers::FORWARDED_FOR).iter().next_back()?;
    value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn refuse(parts: &http::request::Parts, head: &Head) -> Option<LocalReply> {
    if parts.version < Version::HTTP_11 {
        return Some(local_reply::low_version());
    }
    head.authority.is_empty().then(local_reply::missing_host)
}

/// Where plain HTTP is not wanted.
fn to_https(head: &Head) -> LocalReply {
    let location = format!("https://{}{}", without_port(&head.authority), head.path);
    match location.parse() {
        Ok(location) => local_reply::redirect(StatusCode::MOVED_PERMANENTLY, location),
        Err(_) => local_reply::direct(StatusCode::BAD_REQUEST, bytes::Bytes::new()),
    }
}

/// One request on its way through the proxy.
struct Work<'a> {
    context: &'a Arc<Context>,
    ends: Ends,
    head: &'a Head,
    method: Method,
    headers: HeaderMap,
    upgrade: Option<OnUpgrade>,
}

impl Work<'_> {
    fn normalize(&mut self) {
        let http = &self.context.http;
        let forwarding =
            headers::Forwarding { edge: http.use_remote_address, skip_append: http.skip_xff_append, peer: self.ends.peer.ip() };
        headers::normalize_request(&mut self.headers, forwarding);
    }

    fn route(&self, host: &VirtualHost) -> Option<Arc<Route>> {
        let (path, query) = match self.method == Method::CONNECT {
            // A tunnel has no path; it takes the route that everything of its host takes.
            true => ("/", None),
            false => self.head.split(),
        };
        let view =
            RequestView { method: self.method.as_str(), authority: &self.head.authority, path, query, headers: &self.headers };
        host.route(&view).cloned()
    }

    async fn forward(mut self, route: &Route, to: &Forward, body: Incoming, mut exchange: Exchange) -> Answer {
        let context = self.context;
        let (cluster, weighted) = match self.target(&to.target) {
            Some(found) => found,
            None => {
                context.stats.no_cluster.inc();
                let reply = local_reply::no_cluster(to.no_cluster_status);
                return respond::local(context, exchange, reply, None);
            }
        };
        // A tunnel passes over every header rule, so it needs leave like any other upgrade.
        let tunnel = self.method == Method::CONNECT;
        if tunnel && !context.http.upgrades.iter().any(|kind| kind == CONNECT) {
            return respond::local(context, exchange, local_reply::upgrade_failed(), None);
        }
        exchange.set_cluster(cluster.info.clone());
        if let Some(reply) = self.inject_fault(route, &mut exchange).await {
            return respond::local(context, exchange, reply, None);
        }
        if tunnel {
            return tunnel::connect(self, cluster, exchange).await;
        }
        let upgrade = headers::upgrade_of(&self.headers);
        if let Some(kind) = &upgrade
            && !context.http.upgrades.contains(kind)
        {
            return respond::local(context, exchange, local_reply::upgrade_failed(), None);
        }
        let uri = self.edit(route, to, weighted, upgrade.as_deref(), &mut exchange);
        exchange.inject(&mut self.headers);
        let client = self.upgrade.take().filter(|_| upgrade.is_some());
        let outgoing = Outgoing {
            cluster,
            method: self.method,
            uri,
            headers: self.headers,
            body,
            destination: destination(context, self.head, self.ends),
            timeout: to.timeout.filter(|_| upgrade.is_none()),
            retry: to.retry.as_ref(),
            tells_attempt: route.tells_attempt,
        };
        match forward::forward(outgoing, &mut exchange).await {
            Err(reply) => respond::local(context, exchange, reply, None),
            Ok(answered) => {
                let changes = respond::Changes { route, weighted };
                match client {
                    Some(client) if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                        tunnel::upgraded(context, exchange, answered, changes, client)
                    }
                    _ => respond::upstream(context, exchange, answered, changes),
                }
            }
        }
    }

    fn target<'t>(&self, target: &'t Target) -> Option<(Arc<LiveCluster>, Option<&'t WeightedCluster>)> {
        let upstreams = &self.context.shared.upstreams;
        match target {
            Target::Cluster(name) => Some((upstreams.find(name)?, None)),
            Target::ClusterHeader(header) => {
                let name = self.headers.get(header)?.to_str().ok()?;
                Some((upstreams.find(name)?, None))
            }
            Target::Weighted(weighted) => {
                let picked = weighted.pick()?;
                Some((upstreams.find(&picked.name)?, Some(picked)))
            }
        }
    }

    /// Waits and refuses as the route's fault rule says.
    async fn inject_fault(&self, route: &Route, exchange: &mut Exchange) -> Option<LocalReply> {
        let fault = route.fault.as_ref()?;
        if let Some((delay, share)) = fault.delay
            && share.hits()
        {
            exchange.flag(sidelight_telemetry::ResponseFlag::DelayInjected);
            self.context.stats.faults_delayed.inc();
            tokio::time::sleep(delay).await;
        }
        let (status, share) = fault.abort?;
        if !share.hits() {
            return None;
        }
        self.context.stats.faults_aborted.inc();
        StatusCode::from_u16(status).ok().map(local_reply::fault_abort)
    }

    /// Brings the headers into the form in which they go upstream, and returns the target to ask for.
    fn edit(
        &mut self,
        route: &Route,
        to: &Forward,
        weighted: Option<&WeightedCluster>,
        upgrade: Option<&str>,
        exchange: &mut Exchange,
    ) -> Uri {
        let headers = &mut self.headers;
        headers::drop_length_beside_chunks(headers);
        headers::strip_hop_by_hop(headers);
        if let Some(kind) = upgrade.and_then(|kind| kind.parse().ok()) {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, kind);
        }
        let rewritten = to.path_rewrite.as_ref().and_then(|rewrite| rewrite::rewrite_path(route, rewrite, &self.head.path));
        if let Some(path) = &rewritten {
            exchange.set_rewritten_path(path);
            if let Ok(original) = self.head.path.parse() {
                headers.insert(headers::ORIGINAL_PATH, original);
            }
        }
        if let Some(weighted) = weighted {
            weighted.request_headers.apply(headers);
        }
        route.request_headers.apply(headers);
        let host = weighted
            .and_then(|weighted| weighted.host_rewrite.as_ref())
            .or(to.host_rewrite.as_ref())
            .unwrap_or(&self.head.authority);
        if let Ok(host) = host.parse() {
            headers.insert(header::HOST, host);
        }
        if let Some(timeout) = to.timeout {
            headers::expect_answer_within(headers, timeout);
        }
        let path = rewritten.as_deref().unwrap_or(&self.head.path);
        let mut parts = uri::Parts::default();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).unwrap_or_else(|_| Uri::from_static("/"))
    }
}

/// Where this request's client itself points.
fn destination<'a>(context: &'a Context, head: &'a Head, ends: Ends) -> Destination<'a> {
    let shared = &context.shared;
    Destination { authority: &head.authority, listener: ends.local, own: &shared.own, resolver: &shared.upstreams.resolver }
}

/// Counts a request as active until its answer's head is on its way.
struct Active<'a>(&'a ListenerStats);

impl<'a> Active<'a> {
    fn new(stats: &'a ListenerStats) -> Self {
        stats.rq_total.inc();
        stats.rq_active.inc();
        Self(stats)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.rq_active.dec();
    }
}
