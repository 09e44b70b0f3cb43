//! An application that calls others through its sidecar, in the absolute form that HTTP_PROXY asks for.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// One keep-alive connection.
pub struct Client(SendRequest<Full<Bytes>>);

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self(sender)
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    pub async fn get(&mut self, url: &str) -> Answer {
        self.get_with(url, &[]).await
    }

    pub async fn get_with(&mut self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(Method::GET, url, headers, Bytes::new())).await.unwrap()
    }

    pub async fn post(&mut self, url: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(Method::POST, url, &[], body.into())).await.unwrap()
    }
}

pub fn request(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Full<Bytes>> {
    let uri: http::Uri = url.parse().unwrap();
    let mut request = Request::builder().method(method).uri(url);
    let named_host = headers.iter().any(|(name, _)| *name == "host");
    if let (Some(authority), false) = (uri.authority(), named_host) {
        request = request.header("host", authority.as_str());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body)).unwrap()
}

/// One request on a connection of its own.
pub async fn get(to: SocketAddr, path: &str) -> Answer {
    let url = path.to_owned();
    Client::connect(to).await.get_with(&url, &[("host", "sidecar")]).await
}
