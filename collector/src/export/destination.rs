//! Where spans are sent: the URL says the protocol as well.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The port that OTLP over HTTP has by convention; a URL that names it without a path means HTTP.
const OTLP_HTTP_PORT: u16 = 4318;
/// The path of OTLP's traces where the URL has none.
const OTLP_PATH: &str = "/v1/traces";
/// The path of Zipkin's spans where the URL has none.
const ZIPKIN_PATH: &str = "/api/v2/spans";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OtlpGrpc,
    /// Protobuf over HTTP.
    OtlpHttp,
    ZipkinJson,
}

/// A backend and how it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    pub protocol: Protocol,
    /// `http` or `https`; for gRPC without a path.
    pub uri: Uri,
}

impl Destination {
    /// Reads the URL of an OTLP backend: without a path it is gRPC (`http://jaeger:4317`, also `grpc://` and `grpcs://`);
    /// with one, or on port 4318, it is protobuf over HTTP (`http://jaeger:4318/v1/traces`).
    pub fn otlp(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| not_a_url(url))?;
        let (scheme, is_grpc) = match scheme {
            "grpc" => ("http", true),
            "grpcs" => ("https", true),
            other => (other, false),
        };
        let uri = parse(url, &format!("{scheme}://{rest}"))?;
        let has_path = uri.path() != "/" || uri.query().is_some();
        if is_grpc && has_path {
            return Err(format!("`{}` has a path, which gRPC has no use for", without_query(url)));
        }
        if is_grpc || (!has_path && uri.port_u16() != Some(OTLP_HTTP_PORT)) {
            return Ok(Self { protocol: Protocol::OtlpGrpc, uri });
        }
        Ok(Self { protocol: Protocol::OtlpHttp, uri: with_path(uri, OTLP_PATH) })
    }

    /// Reads the URL of a Zipkin server, with or without the path of its spans.
    pub fn zipkin(url: &str) -> Result<Self, String> {
        Ok(Self { protocol: Protocol::ZipkinJson, uri: with_path(parse(url, url)?, ZIPKIN_PATH) })
    }

    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Without the query, which some backends keep a key in.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(without_query(&self.uri.to_string()))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {self}", self.protocol)
    }
}

fn parse(shown: &str, url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| not_a_url(shown))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(not_a_url(shown));
    }
    if uri.authority().is_some_and(|authority: &Authority| authority.as_str().contains('@')) {
        return Err("a URL to export to holds no user and password; send them in a header".to_owned());
    }
    Ok(uri)
}

fn with_path(uri: Uri, path: &'static str) -> Uri {
    if uri.path() != "/" || uri.query().is_some() {
        return uri;
    }
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(path));
    // Of a URI that had a scheme and an authority, nothing can be missing.
    Uri::from_parts(parts).unwrap_or_default()
}

/// Without what may be a password or a key: with an `@`, nobody knows where those end.
fn not_a_url(url: &str) -> String {
    let shown = if url.contains('@') { "…" } else { without_query(url) };
    format!("`{shown}` is not a URL to export to, such as http://127.0.0.1:4317")
}

fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otlp(url: &str) -> (Protocol, String) {
        let destination = Destination::otlp(url).unwrap();
        (destination.protocol, destination.uri.to_string())
    }

    #[test]
    fn the_url_says_the_protocol() {
        assert_eq!(otlp("http://jaeger:4317"), (Protocol::OtlpGrpc, "http://jaeger:4317/".to_owned()));
        assert_eq!(otlp("grpc://jaeger:4317"), (Protocol::OtlpGrpc, "http://jaeger:4317/".to_owned()));
        assert_eq!(otlp("grpcs://x"), (Protocol::OtlpGrpc, "https://x/".to_owned()));
        assert_eq!(otlp("http://jaeger:4318"), (Protocol::OtlpHttp, "http://jaeger:4318/v1/traces".to_owned()));
        assert_eq!(otlp("https://x/otlp/v1/traces?k=v"), (Protocol::OtlpHttp, "https://x/otlp/v1/traces?k=v".to_owned()));
        assert_eq!(Destination::zipkin("http://z:9411").unwrap().uri, "http://z:9411/api/v2/spans");
        assert_eq!(Destination::zipkin("http://z/spans").unwrap().uri, "http://z/spans");
    }

    #[test]
    fn secrets_are_refused_and_not_shown() {
        for url in ["jaeger:4317", "ftp://x", "http://", "grpc://x/path", "http://:80"] {
            assert!(Destination::otlp(url).is_err(), "{url}");
        }
        for url in [
            "http://user:secret@jaeger:4317",
            "ftp://user:secret@x",
            "http://user:secret@",
            "ftp://x?key=a@secret",
            "ftp://u:a?secret@x",
        ] {
            assert!(Destination::otlp(url).is_err_and(|error| !error.contains("secret")), "{url}");
        }
        assert_eq!(Destination::otlp("https://x/v1/traces?key=secret").unwrap().to_string(), "https://x/v1/traces");
    }
}
