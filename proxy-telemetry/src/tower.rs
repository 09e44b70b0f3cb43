//! The same telemetry for any Rust server: a tower layer that reports as the destination of its requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{CountedBody, ExchangeBody};
use crate::exchange::Exchange;
use crate::labels::Reporter;
use crate::record::{Downstream, Protocol, RequestHead};
use crate::telemetry::Telemetry;

/// Wraps a whole server; put it outermost.
///
/// Trace headers reach the server's handlers rewritten, so that what they forward continues the server's own span.
/// A [`Downstream`] among the request's extensions gives the addresses of the connection.
#[derive(Clone)]
pub struct TelemetryLayer {
    telemetry: Telemetry,
}

impl TelemetryLayer {
    /// A layer that reports to this telemetry.
    #[must_use]
    pub fn new(telemetry: Telemetry) -> Self {
        Self { telemetry }
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = TelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TelemetryService { telemetry: self.telemetry.clone(), inner }
    }
}

/// What [`TelemetryLayer`] makes of a service.
#[derive(Clone)]
pub struct TelemetryService<S> {
    telemetry: Telemetry,
    inner: S,
}

type Answer<B, E> = Pin<Box<dyn Future<Output = Result<Response<ExchangeBody<B>>, E>> + Send>>;

impl<S, A, B> Service<Request<A>> for TelemetryService<S>
where
    S: Service<Request<CountedBody<A>>, Response = Response<B>>,
    S::Future: Send + 'static,
    A: Body + Unpin,
    B: Body + Unpin,
{
    type Response = Response<ExchangeBody<B>>;
    type Error = S::Error;
    type Future = Answer<B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let mut exchange = start(&self.telemetry, &request);
        exchange.inject(request.headers_mut());
        let request = request.map(|body| exchange.count_request(body));
        let answer = self.inner.call(request);
        Box::pin(async move {
            // An error drops the exchange: no response was started.
            let mut response = answer.await?;
            let status = response.status();
            exchange.details("direct_response");
            exchange.local_response(status, response.headers_mut());
            Ok(response.map(|body| exchange.finish_with(body)))
        })
    }
}

fn start<A>(telemetry: &Telemetry, request: &Request<A>) -> Exchange {
    let uri = request.uri();
    let downstream = request.extensions().get::<Downstream>().cloned();
    let head = RequestHead {
        method: request.method().as_str(),
        path: uri.path_and_query().map_or("/", |path| path.as_str()),
        authority: authority(uri, request.headers()),
        scheme: uri.scheme_str().unwrap_or("http"),
        protocol: Protocol::from(request.version()),
        headers: request.headers(),
        downstream: downstream.unwrap_or_default(),
        internal: false,
    };
    telemetry.start(Reporter::Destination, &head)
}

fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let host = || headers.get(header::HOST).map(HeaderValue::to_str);
    match uri.authority() {
        Some(authority) => authority.as_str(),
        None => host().and_then(Result::ok).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::settings::TelemetrySettings;
    use crate::testing::workload;

    #[tokio::test]
    async fn a_plain_server_reports_what_it_answers() {
        let telemetry = Telemetry::new(workload("details", "v1"), TelemetrySettings::default());
        let server = service_fn(async |request: Request<CountedBody<Full<Bytes>>>| {
            let has_id = request.headers().contains_key("x-request-id");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert!(has_id);
            Ok::<_, Infallible>(Response::new(Full::new(body)))
        });
        let server = TelemetryLayer::new(telemetry.clone()).layer(server);
        let request = Request::post("http://details:9080/x").body(Full::new(Bytes::from_static(b"1234"))).unwrap();
        let response = server.oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1234");
        let text = telemetry.render_metrics("filter=istio_requests_total");
        for label in ["reporter=\"destination\"", "destination_workload=\"details-v1\"", "response_code=\"200\""] {
            assert!(text.contains(label), "{label} in {text}");
        }
        assert!(text.ends_with("} 1\n"));
    }

    #[tokio::test]
    async fn a_failing_server_is_counted_without_a_code() {
        let telemetry = Telemetry::new(workload("details", "v1"), TelemetrySettings::default());
        let server = service_fn(async |_: Request<CountedBody<Full<Bytes>>>| Err::<Response<Full<Bytes>>, _>("broken"));
        let server = TelemetryLayer::new(telemetry.clone()).layer(server);
        let failed = server.oneshot(Request::new(Full::new(Bytes::new()))).await;
        assert_eq!(failed.err(), Some("broken"));
        assert!(telemetry.render_metrics("").contains("response_code=\"0\""));
    }
}
