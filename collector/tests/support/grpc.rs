//! Calls over gRPC as bytes: one message there, any number back.

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;

/// The status, and the messages that came before it.
pub async fn call(address: SocketAddr, path: &str, headers: &HeaderMap, message: &impl Message) -> (String, Vec<Bytes>) {
    let bytes = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&bytes);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let mut request = Request::post(format!("http://{address}{path}")).header("content-type", "application/grpc");
    request = request.header("te", "trailers");
    request.headers_mut().unwrap().extend(headers.clone());
    let response = client.request(request.body(Full::new(framed.into())).unwrap()).await.unwrap();
    let told = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    let (http, early) = (response.status(), told(response.headers()));
    let body = response.into_body().collect().await.unwrap();
    let status = early.or_else(|| body.trailers().and_then(told)).unwrap_or_else(|| format!("HTTP {}", http.as_u16()));
    let mut bytes = body.to_bytes();
    let mut messages = Vec::new();
    while status == "0" && bytes.remaining() >= 5 {
        assert_eq!(bytes.get_u8(), 0, "not compressed");
        let length = bytes.get_u32() as usize;
        messages.push(bytes.split_to(length));
    }
    (status, messages)
}

/// All messages of a call that goes well.
pub async fn ask<M: Message + Default>(address: SocketAddr, path: &str, message: &impl Message) -> Vec<M> {
    let (status, messages) = call(address, path, &HeaderMap::new(), message).await;
    assert_eq!(status, "0", "{path}");
    messages.into_iter().map(|bytes| M::decode(bytes).unwrap()).collect()
}
