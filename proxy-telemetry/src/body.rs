//! Bodies that count what passes through them, and that end the exchange with the last byte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::{Exchange, Outcome, Progress};
use crate::flags::ResponseFlag;

/// A request's body on its way to the upstream.
#[derive(Debug)]
pub struct CountedBody<B> {
    inner: B,
    bytes: u64,
    progress: Arc<Progress>,
}

impl<B: Body + Unpin> CountedBody<B> {
    pub(crate) fn new(inner: B, progress: Arc<Progress>) -> Self {
        if inner.is_end_stream() {
            progress.request_ended();
        }
        Self { inner, bytes: 0, progress }
    }
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.bytes += bytes_of(frame);
            // A retry sends the same bytes again, but they were received once.
            self.progress.request_bytes.fetch_max(self.bytes, Ordering::Relaxed);
        }
        if frame.is_none() || self.inner.is_end_stream() {
            self.progress.request_ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body on its way to the client.
///
/// The exchange is recorded before the last byte is handed over, so whoever received the whole response
/// finds it counted.
pub struct ExchangeBody<B: Body> {
    inner: B,
    exchange: Option<Exchange>,
    classify: Option<Classify<B::Error>>,
}

/// What an error in the middle of a response means: its flag and its details.
pub type Classify<E> = fn(&E) -> (ResponseFlag, &'static str);

impl<B: Body + Unpin> ExchangeBody<B> {
    /// A body of the same type that ends no exchange, for answers whose exchange lives on elsewhere, as in a tunnel.
    #[must_use]
    pub fn detached(inner: B) -> Self {
        Self { inner, exchange: None, classify: None }
    }

    pub(crate) fn new(inner: B, exchange: Exchange) -> Self {
        let ended = inner.is_end_stream() || exchange.is_bodiless();
        let mut body = Self { inner, exchange: Some(exchange), classify: None };
        if ended {
            body.finish();
        }
        body
    }

    /// Tells errors of the inner body apart; without it, every one is the upstream's protocol error.
    #[must_use]
    pub fn classify_errors(mut self, classify: Classify<B::Error>) -> Self {
        self.classify = Some(classify);
        self
    }

    fn finish(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(Outcome::Complete);
        }
    }

    fn count(&mut self, frame: &Frame<B::Data>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.record.bytes_sent += bytes_of(frame);
            if let Some(trailers) = frame.trailers_ref() {
                exchange.take_grpc_status(trailers);
            }
        }
    }

    /// The upstream broke off in the middle of its response.
    fn fail(&mut self, error: &B::Error) {
        if let Some(mut exchange) = self.exchange.take() {
            let (flag, details) = match self.classify {
                Some(classify) => classify(error),
                None => (ResponseFlag::UpstreamProtocolError, "upstream_reset_after_response_started{protocol_error}"),
            };
            exchange.flag(flag);
            exchange.details(details);
            exchange.finish(Outcome::Complete);
        }
    }
}

impl<B: Body + Unpin> Body for ExchangeBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                self.count(frame);
                if self.inner.is_end_stream() {
                    self.finish();
                }
            }
            Some(Err(error)) => self.fail(error),
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn bytes_of<D: Buf>(frame: &Frame<D>) -> u64 {
    frame.data_ref().map_or(0, |data| data.remaining() as u64)
}
