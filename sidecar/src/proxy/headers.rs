//! Header rules that hold for every request: what belongs to one hop, what tells the client's address, what is ours to strip.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
pub const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
pub const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");
pub const OPERATION: HeaderName = HeaderName::from_static("x-envoy-decorator-operation");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const H2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Control headers that only internal clients may send; nobody is internal unless configured so.
const INTERNAL_ONLY: [HeaderName; 14] = [
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-upstream-alt-stat-name"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-alt-response"),
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-ip-tags"),
    HeaderName::from_static("x-envoy-original-url"),
];

/// What only a proxy inside may tell; an edge takes it from nobody.
const PROXIES_ONLY: [HeaderName; 6] = [
    OPERATION,
    ORIGINAL_PATH,
    HeaderName::from_static("x-envoy-internal"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("x-envoy-downstream-service-cluster"),
    HeaderName::from_static("x-envoy-downstream-service-node"),
];

/// Which upgrade a request asks for, in lower case. HTTP/2 by upgrade is not an upgrade of this request.
pub fn upgrade_of(headers: &HeaderMap) -> Option<String> {
    let names_upgrade = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    if !names_upgrade {
        return None;
    }
    let wanted = headers.get(header::UPGRADE)?.to_str().ok()?;
    Some(wanted.to_ascii_lowercase()).filter(|kind| !kind.is_empty() && kind != "h2c")
}

/// Removes what concerns one connection only, and what `connection` names. `te: trailers` may stay.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|token| HeaderName::from_bytes(token.trim().as_bytes()).ok())
            .filter(|name| !is_ours(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(header::CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, H2_SETTINGS] {
        headers.remove(name);
    }
    let trailers = headers.get(header::TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if !trailers {
        headers.remove(header::TE);
    }
}

/// What decides where a request goes, or what proxies tell each other: a client must not be able to remove it on the way.
fn is_ours(name: &HeaderName) -> bool {
    let told = ["x-forwarded-", "x-envoy-"].iter().any(|prefix| name.as_str().starts_with(prefix));
    told || [header::HOST, header::CONTENT_LENGTH, REQUEST_ID].contains(name)
}

/// A body without a length goes on in chunks. Left unsaid, hyper takes GET and HEAD for requests without a body.
pub fn frame_request(headers: &mut HeaderMap, has_body: bool) {
    if has_body && !headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Chunks say where a message ends; a length beside them is one that somebody else may believe.
pub fn drop_length_beside_chunks(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// How the client's address is treated by a connection manager.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding {
    /// A gateway: the peer is the client.
    pub edge: bool,
    pub skip_append: bool,
    pub peer: IpAddr,
}

/// Brings the request's `x-forwarded-*` and control headers into the state in which they travel on.
pub fn normalize_request(headers: &mut HeaderMap, forwarding: Forwarding) {
    for name in &INTERNAL_ONLY {
        headers.remove(name);
    }
    // Envoy answers `expect` itself, as hyper does for us.
    headers.remove(header::EXPECT);
    if forwarding.edge {
        for name in &PROXIES_ONLY {
            headers.remove(name);
        }
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        if !forwarding.skip_append {
            append_address(headers, forwarding.peer);
        }
    } else if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
}

fn append_address(headers: &mut HeaderMap, peer: IpAddr) {
    let before: Vec<_> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let all = match before.is_empty() {
        true => peer.to_string(),
        false => format!("{},{peer}", before.join(",")),
    };
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Tells the upstream how long its answer is waited for.
pub fn expect_answer_within(headers: &mut HeaderMap, timeout: std::time::Duration) {
    headers.insert(EXPECTED_TIMEOUT, number(timeout.as_millis() as u64));
}

pub fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn hop_by_hop_headers_go_with_those_that_connection_names() {
        let mut map = headers(&[
            ("connection", "keep-alive, X-Secret-Hop, host"),
            ("x-secret-hop", "1"),
            ("host", "reviews:9080"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
    }

    #[test]
    fn connection_names_nothing_that_proxies_tell() {
        let told = [
            ("host", "reviews:9080"),
            ("content-length", "5"),
            ("x-forwarded-for", "10.0.0.9"),
            ("x-forwarded-proto", "http"),
            ("x-envoy-original-path", "/"),
            ("x-request-id", "1"),
        ];
        let mut map = headers(&told);
        let all: Vec<_> = told.iter().map(|(name, _)| *name).collect();
        map.insert(header::CONNECTION, all.join(",").parse().unwrap());
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&told));
    }

    #[test]
    fn te_trailers_stays() {
        let mut map = headers(&[("te", "trailers")]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map["te"], "trailers");
    }

    #[test]
    fn only_real_upgrades_are_upgrades() {
        assert_eq!(upgrade_of(&headers(&[("connection", "Upgrade"), ("upgrade", "WebSocket")])), Some("websocket".into()));
        assert_eq!(upgrade_of(&headers(&[("upgrade", "websocket")])), None);
        let h2c = headers(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")]);
        assert_eq!(upgrade_of(&h2c), None);
    }

    #[test]
    fn a_gateway_appends_the_peer_and_a_sidecar_leaves_the_list_alone() {
        let forwarding = |edge| Forwarding { edge, skip_append: false, peer: [10, 0, 0, 9].into() };
        let mut map = headers(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")]);
        normalize_request(&mut map, forwarding(true));
        assert_eq!(map["x-forwarded-for"], "1.2.3.4,10.0.0.9");
        assert_eq!(map["x-forwarded-proto"], "http");

        let mut map = headers(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")]);
        normalize_request(&mut map, forwarding(false));
        assert_eq!(map["x-forwarded-for"], "1.2.3.4");
        assert_eq!(map["x-forwarded-proto"], "https");

        let mut map = headers(&[("x-envoy-force-trace", "1"), ("x-envoy-max-retries", "9")]);
        normalize_request(&mut map, forwarding(false));
        assert!(!map.contains_key("x-forwarded-for"));
        assert_eq!(map.len(), 1);
        assert_eq!(map["x-forwarded-proto"], "http");
    }
}
