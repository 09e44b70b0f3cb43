//! Envoy's access log service (ALS v3): proxies stream their entries, HTTP and TCP, and we keep each as a line of a log.
//!
//! The protocol has no answer to a message, so what is read counts as taken: a stream is read no further while too much of
//! it, or of all streams, is not stored yet. The proxy then keeps its entries, as it does when the network is slow.

mod entry;
mod identity;
mod pack;
mod properties;
mod service;
mod structs;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::entry::{EntryKind, Filler};
use self::identity::StreamIdentity;
use self::pack::Packer;
pub use self::service::{PATH, service};
use self::wire::{BadWire, Fields};
use super::door::Times;
use crate::pipeline::{Intake, Room, WriterHandle};
use crate::store::Store;
use crate::store::log::{LEVEL_QUICK, LogBlock};

/// Names the door in `GET /api/ingest`.
pub const DOOR: &str = "als";
pub const SIGNAL: &str = "logs";

/// Bytes of one message. Envoy sends 16 KiB at a time, and with the first message a node that may have 100 KiB.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries of one message.
pub const ENTRIES_PER_MESSAGE_MAX: usize = 20_000;
/// Bytes of one stream that are read and not stored; beyond this it is read no further.
pub const STREAM_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// Bytes of all streams that are read and not stored.
pub const BYTES_IN_FLIGHT_MAX: usize = 64 * 1024 * 1024;
/// Streams at the same time: a proxy opens one per worker and log.
pub const STREAMS_MAX: usize = 20_000;
/// Messages that wait for one packer; their bytes are bounded above.
const QUEUE_MAX: usize = 1024;
/// Lines wait so long for others to share their block.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Cheap to clone.
#[derive(Clone)]
pub struct AlsDoor {
    inner: Arc<Inner>,
}

struct Inner {
    packers: Vec<mpsc::Sender<Taken>>,
    next: AtomicUsize,
    bytes: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    intake: Intake,
    stop: CancellationToken,
}

/// A message that was read; its bytes count until its entries are stored.
struct Taken {
    identity: Arc<StreamIdentity>,
    message: Bytes,
    /// Of the stream, and of all.
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The parts of a `StreamAccessLogsMessage`.
struct Parts<'a> {
    identifier: Option<&'a [u8]>,
    entries: usize,
}

impl AlsDoor {
    /// Starts the packers; they end when the last door is gone, with everything stored that was read.
    #[must_use]
    pub fn start(
        store: &Arc<dyn Store>,
        writer: &WriterHandle,
        intake: Intake,
        kept: Duration,
        stop: CancellationToken,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        let (mut packers, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (sender, queue) = mpsc::channel(QUEUE_MAX);
            packers.push(sender);
            let packer = Packer::new(queue, Arc::clone(store), writer.clone(), intake.clone(), kept);
            tasks.push(tokio::spawn(packer.run(stop.clone())));
        }
        let inner = Inner {
            packers,
            next: AtomicUsize::new(0),
            bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            intake,
            stop,
        };
        (Self { inner: Arc::new(inner) }, tasks)
    }
}

impl Inner {
    /// Messages have no order among each other: whoever is next takes it.
    fn packer(&self) -> Option<&mpsc::Sender<Taken>> {
        self.packers.get(self.next.fetch_add(1, Ordering::Relaxed) % self.packers.len().max(1))
    }
}

impl<'a> Parts<'a> {
    /// Looks at the frame of a message only.
    fn read(message: &'a [u8]) -> Result<Self, BadWire> {
        let mut parts = Self { identifier: None, entries: 0 };
        Fields(message).each(|number, value| {
            match number {
                1 => parts.identifier = Some(value.bytes()?),
                2 | 3 => value.message()?.each(|number, entry| {
                    if number == 1 {
                        entry.bytes()?;
                        parts.entries += 1;
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(parts)
    }
}

/// Calls `each` with the entries of a message.
///
/// # Errors
/// When it is no `StreamAccessLogsMessage`; entries before the damage were seen.
fn each_entry<'a>(message: &'a [u8], mut each: impl FnMut(EntryKind, &'a [u8])) -> Result<(), BadWire> {
    Fields(message).each(|number, value| {
        let kind = match number {
            2 => EntryKind::Http,
            3 => EntryKind::Tcp,
            _ => return Ok(()),
        };
        value.message()?.each(|number, entry| {
            if number == 1 {
                each(kind, entry.bytes()?);
            }
            Ok(())
        })
    })
}

/// For fuzzers: all that a message goes through, with the block and the edges that its entries come to.
pub(crate) fn fuzz(message: &[u8], times: Times) {
    let Ok(parts) = Parts::read(message) else { return };
    let Ok(identity) = StreamIdentity::read(parts.identifier.unwrap_or_default()) else { return };
    let (identity, mut filler) = (Arc::new(identity), Filler::new());
    let _ = each_entry(message, |kind, entry| filler.add(&identity, kind, entry, times));
    let blocks = filler.builder.finish(LEVEL_QUICK).unwrap_or_default();
    let stored: u32 = blocks.iter().map(|block| block.items).sum();
    assert_eq!(u64::from(stored) + filler.counts.refused(), filler.counts.received);
    for block in blocks {
        assert!(LogBlock::open(&block.data).is_ok(), "a block that was just written cannot be read");
    }
    let _ = filler.edges.finish(&filler.builder, Room { is_known: &|_| false, new_edges: usize::MAX });
}
