//! Keeps other people's web pages from talking to the collector through a browser that can reach it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sidelight_api::error::ErrorKind;
use sidelight_api::session::AuthMode;

use super::error::Refusal;

/// Names under which the dashboard may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// Any name: a login protects, because a page under a foreign name has no cookie of ours.
    Any,
    /// Addresses, `localhost` and these names. Without a login a foreign name that was pointed at this machine
    /// (DNS rebinding) would read everything.
    Local(Arc<[String]>),
}

/// Says so when everybody in the network may do everything.
pub fn warn_if_exposed(listen: SocketAddr, mode: AuthMode) {
    if mode == AuthMode::None && !listen.ip().is_loopback() {
        tracing::warn!(%listen, "anyone who reaches this address may read and change the mesh: no login was asked for");
    }
}

/// Refuses foreign names, and changes that a foreign page sends.
pub async fn check(State(hosts): State<HostPolicy>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request.uri().authority().cloned().or_else(|| host_header(headers));
    if let Some(authority) = &authority
        && !hosts.allows(authority.host())
    {
        let host = authority.host();
        let message = format!("`{host}` is not a name of this server; use its address, or allow the name when starting it");
        return Refusal::new(ErrorKind::Forbidden, message).into_response();
    }
    if changes_something(request.method()) && !is_same_origin(headers, authority.as_ref()) {
        let message = "the request comes from another site's page; only the dashboard itself may send changes";
        return Refusal::new(ErrorKind::Forbidden, message).into_response();
    }
    next.run(request).await
}

impl HostPolicy {
    fn allows(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Local(names) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
                bare.parse::<IpAddr>().is_ok()
                    || bare == "localhost"
                    || bare.ends_with(".localhost")
                    || names.iter().any(|name| name.eq_ignore_ascii_case(&bare))
            }
        }
    }
}

fn host_header(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn changes_something(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Browsers say where a request comes from; programs say nothing and carry no cookies by accident.
fn is_same_origin(headers: &HeaderMap, authority: Option<&Authority>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match text("sec-fetch-site") {
        // No page can write this header. Believed over `origin`, which a proxy in front may make look foreign by
        // rewriting the name that we are called by.
        Some("same-origin") => return true,
        Some("none") | None => {}
        Some(_) => return false,
    }
    match text("origin") {
        None => true,
        Some(origin) => {
            let from = origin.split_once("://").map(|(_, rest)| rest);
            from.is_some_and(|from| authority.is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(from)))
        }
    }
}
