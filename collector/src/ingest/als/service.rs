//! The gRPC side: one method, a stream from the client, messages as the bytes that came.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::server::{ClientStreamingService, Grpc};
use tonic::{Code, Status};

use super::{
    AlsDoor, DOOR, ENTRIES_PER_MESSAGE_MAX, Inner, MESSAGE_BYTES_MAX, Parts, SIGNAL, STREAM_BYTES_MAX, StreamIdentity, Taken,
};
use crate::ingest::grpc;
use crate::store::Counts;

/// Where proxies send their streams.
pub const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// The routes of the door, for a port that speaks gRPC.
pub fn service(door: AlsDoor) -> Router {
    Router::new().route(PATH, post(move |request: Request| answer(door.clone(), request)))
}

async fn answer(door: AlsDoor, request: Request) -> Response {
    if !grpc::is_grpc(request.headers()) {
        return grpc::unary::not_grpc();
    }
    let mut grpc = Grpc::new(RawCodec).apply_max_message_size_config(Some(MESSAGE_BYTES_MAX), None);
    grpc.client_streaming(door, request).await.map(Body::new)
}

impl ClientStreamingService<Bytes> for AlsDoor {
    type Response = ();
    type Future = BoxFuture<'static, Result<tonic::Response<()>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.stream(request.into_inner()).await.map(tonic::Response::new) })
    }
}

/// A stream is over for its client's fault: why, and how much was refused.
struct Refused {
    status: Status,
    reason: &'static str,
    items: u64,
}

impl Refused {
    fn new(reason: &'static str, items: usize, message: &'static str) -> Self {
        Self { status: Status::invalid_argument(message), reason, items: items.max(1) as u64 }
    }
}

impl Inner {
    /// Takes what comes until the client ends the stream, and answers when all of it is stored.
    async fn stream(&self, mut messages: Streaming<Bytes>) -> Result<(), Status> {
        let Ok(_place) = self.streams.try_acquire() else {
            return Err(Status::resource_exhausted("too many streams of access logs"));
        };
        let room = Arc::new(Semaphore::new(STREAM_BYTES_MAX));
        let mut identity = None;
        let result = loop {
            let next = tokio::select! {
                next = messages.message() => next,
                () = self.stop.cancelled() => break Err(Status::unavailable("the collector is shutting down")),
            };
            match next {
                Ok(Some(message)) => match self.take(message, &mut identity, &room).await {
                    Ok(()) => {}
                    Err(refused) => break Err(self.refuse(refused)),
                },
                Ok(None) => break Ok(()),
                Err(status) => break Err(self.broken(status)),
            }
        };
        // What was read before is stored in any case.
        let _ = room.acquire_many(STREAM_BYTES_MAX as u32).await;
        result
    }

    async fn take(
        &self,
        message: Bytes,
        identity: &mut Option<Arc<StreamIdentity>>,
        room: &Arc<Semaphore>,
    ) -> Result<(), Refused> {
        let parts = Parts::read(&message).map_err(|_| Refused::new("undecodable", 1, "expected a StreamAccessLogsMessage"))?;
        if let Some(identifier) = parts.identifier {
            let message = "the identifier is not a node and the name of a log";
            let undecodable = |_| Refused::new("undecodable", parts.entries, message);
            *identity = Some(Arc::new(StreamIdentity::read(identifier).map_err(undecodable)?));
        }
        let Some(identity) = identity else {
            let message = "the first message of a stream must have an identifier";
            return Err(Refused::new("no_identifier", parts.entries, message));
        };
        if parts.entries > ENTRIES_PER_MESSAGE_MAX {
            return Err(Refused::new("too_many_items", parts.entries, "too many entries in one message"));
        }
        if parts.entries == 0 {
            return Ok(());
        }
        let bytes = message.len().min(STREAM_BYTES_MAX) as u32;
        // Neither is ever closed.
        let (Ok(mine), Ok(all)) =
            (Arc::clone(room).acquire_many_owned(bytes).await, Arc::clone(&self.bytes).acquire_many_owned(bytes).await)
        else {
            return Ok(());
        };
        let taken = Taken { identity: Arc::clone(identity), message, _held: (mine, all) };
        if let Some(packer) = self.packer() {
            // The packers end after the doors.
            let _ = packer.send(taken).await;
        }
        Ok(())
    }

    fn refuse(&self, refused: Refused) -> Status {
        self.note(refused.reason, refused.items);
        refused.status
    }

    /// The stream broke off. Between two messages that is how streams end; inside one, or with a message that is too
    /// large, something was not taken.
    fn broken(&self, status: Status) -> Status {
        match status.code() {
            Code::OutOfRange | Code::ResourceExhausted => self.note("body_too_large", 1),
            Code::Unimplemented => self.note("unsupported_encoding", 1),
            Code::Internal => self.note("broken_off", 1),
            _ => {}
        }
        status
    }

    fn note(&self, reason: &str, items: u64) {
        let mut counts = Counts::default();
        counts.add(DOOR, SIGNAL, "received", items);
        counts.refuse(DOOR, SIGNAL, reason, items);
        self.intake.note(&counts);
    }
}

/// Messages as bytes: they are read where they lie.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = ();
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = ();
    type Error = Status;

    /// `StreamAccessLogsResponse` is empty.
    fn encode(&mut self, (): (), _out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = bytes.remaining();
        Ok(Some(bytes.copy_to_bytes(length)))
    }
}
