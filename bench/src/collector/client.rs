//! Sends bodies to doors and tells what they answered.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::raw_codec::Raw;

const OTLP_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What became of a body.
#[derive(Debug)]
pub enum Answer {
    /// Durable.
    Taken,
    /// To be sent again.
    Busy,
    Failed(String),
}

/// Plain HTTP/1.1 with connections that are kept.
#[derive(Clone)]
pub struct Http(Arc<Client<HttpConnector, Full<Bytes>>>);

impl Http {
    pub fn new() -> Self {
        Self(Arc::new(Client::builder(TokioExecutor::new()).build_http()))
    }

    pub async fn get(&self, address: &str, path: &str) -> Result<(u16, String)> {
        let request = hyper::Request::get(format!("http://{address}{path}")).body(Full::default())?;
        self.exchange(request).await
    }

    pub async fn post(&self, address: &str, path: &str, content_type: &str, body: Bytes) -> Result<(u16, String)> {
        let request = hyper::Request::post(format!("http://{address}{path}"))
            .header(hyper::header::CONTENT_TYPE, content_type)
            .body(Full::new(body))?;
        self.exchange(request).await
    }

    async fn exchange(&self, request: hyper::Request<Full<Bytes>>) -> Result<(u16, String)> {
        let response = self.0.request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// How bodies of spans are sent.
#[derive(Clone)]
pub enum Sender {
    Http { http: Http, address: &'static str, path: &'static str, content_type: &'static str },
    Otlp(Channel),
}

impl Sender {
    pub fn http(address: &'static str, path: &'static str, content_type: &'static str) -> Self {
        Self::Http { http: Http::new(), address, path, content_type }
    }

    pub async fn otlp(address: &str) -> Result<Self> {
        Ok(Self::Otlp(channel(address).await?))
    }

    pub async fn send(&self, body: Vec<u8>) -> Answer {
        match self {
            Self::Http { http, address, path, content_type } => match http.post(address, path, content_type, body.into()).await {
                Ok((200 | 202 | 204, _)) => Answer::Taken,
                Ok((429 | 503, _)) => Answer::Busy,
                Ok((status, body)) => Answer::Failed(format!("{status}: {body}")),
                Err(error) => Answer::Failed(format!("{error:#}")),
            },
            Self::Otlp(channel) => export(channel.clone(), body.into()).await,
        }
    }
}

pub async fn channel(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).context("no address")?;
    endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))
}

async fn export(channel: Channel, body: Bytes) -> Answer {
    let mut grpc = tonic::client::Grpc::new(channel);
    if let Err(error) = grpc.ready().await {
        return Answer::Failed(error.to_string());
    }
    let path = hyper::http::uri::PathAndQuery::from_static(OTLP_TRACES);
    match grpc.unary(Request::new(body), path, Raw).await {
        Ok(response) => match ExportTraceServiceResponse::decode(response.into_inner()) {
            Ok(ExportTraceServiceResponse { partial_success: Some(partial) }) if partial.rejected_spans > 0 => {
                Answer::Failed(format!("{} spans were rejected: {}", partial.rejected_spans, partial.error_message))
            }
            Ok(_) => Answer::Taken,
            Err(error) => Answer::Failed(error.to_string()),
        },
        Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => Answer::Busy,
        Err(status) => Answer::Failed(status.to_string()),
    }
}
