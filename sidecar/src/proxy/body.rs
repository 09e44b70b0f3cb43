//! The request's body on its way upstream: never buffered, and watched for its end.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;

/// What is known of a request's body while it flows.
#[derive(Debug, Default)]
pub struct BodyWatch {
    ended: OnceLock<Instant>,
    failed: AtomicBool,
    end: Notify,
}

impl BodyWatch {
    /// When the whole request had been received; nothing while it is still coming.
    pub fn ended(&self) -> Option<Instant> {
        self.ended.get().copied()
    }

    /// The client went away or broke the protocol before its body was complete.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Returns when the whole request has been received.
    pub async fn wait_end(&self) {
        loop {
            let notified = self.end.notified();
            if self.ended().is_some() {
                return;
            }
            notified.await;
        }
    }

    fn set_ended(&self) {
        if self.ended.set(Instant::now()).is_ok() {
            self.end.notify_waiters();
        }
    }
}

#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Incoming>,
    watch: Arc<BodyWatch>,
}

impl RequestBody {
    pub fn new(inner: Incoming, watch: Arc<BodyWatch>) -> Self {
        let empty = inner.is_end_stream();
        if empty {
            watch.set_ended();
        }
        Self { inner: (!empty).then_some(inner), watch }
    }

    /// For a further attempt with a request that had no body.
    pub fn empty(watch: Arc<BodyWatch>) -> Self {
        watch.set_ended();
        Self { inner: None, watch }
    }

    pub fn is_empty(&self) -> bool {
        self.inner.is_none()
    }
}

/// A body that nobody reads any further has no later end: what waits for it must not wait for ever.
impl Drop for RequestBody {
    fn drop(&mut self) {
        self.watch.set_ended();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(inner).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {
                if self.inner.as_ref().is_some_and(Body::is_end_stream) {
                    self.watch.set_ended();
                }
            }
            Some(Err(_)) => self.watch.failed.store(true, Ordering::Release),
            None => self.watch.set_ended(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// What goes upstream.
pub type UpstreamBody = sidelight_telemetry::CountedBody<RequestBody>;
