//! Puts the entries of many streams into one block, and stores it with the edges of its lines in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::entry::Filler;
use super::{DOOR, FLUSH_AFTER, SIGNAL, Taken, each_entry};
use crate::clock::now_ms;
use crate::ingest::door::Times;
use crate::ingest::scrape::EDGES_MAX;
use crate::pipeline::{Intake, Room, WriteError, WriterHandle};
use crate::store::log::LEVEL_QUICK;
use crate::store::{BlockWrite, Counts, Delivery, Store, WriteBatch};

/// Blocks of one packer that are being stored while the next is filled.
const STORING_MAX: usize = 2;
/// Streams that have not ended so long after they were told to are not waited for.
const STOP_AFTER: Duration = Duration::from_secs(5);
/// Waits between two tries to store a block, shortest and longest.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

pub(super) struct Packer {
    queue: mpsc::Receiver<Taken>,
    storing: Arc<Semaphore>,
    shared: Arc<Shared>,
    /// Lines older than this are refused.
    kept: Duration,
}

struct Shared {
    store: Arc<dyn Store>,
    writer: WriterHandle,
    intake: Intake,
}

/// A block that is being filled, and what its streams wait for.
#[derive(Default)]
struct Pack {
    filler: Filler,
    taken: Vec<Taken>,
    bytes: u64,
}

impl Packer {
    pub fn new(
        queue: mpsc::Receiver<Taken>,
        store: Arc<dyn Store>,
        writer: WriterHandle,
        intake: Intake,
        kept: Duration,
    ) -> Self {
        let shared = Arc::new(Shared { store, writer, intake });
        Self { queue, storing: Arc::new(Semaphore::new(STORING_MAX)), shared, kept }
    }

    /// Packs until the last door is gone, or for a while after `stop`, and waits until everything is stored.
    pub async fn run(mut self, stop: CancellationToken) {
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_AFTER).await;
        };
        tokio::pin!(over);
        loop {
            let first = tokio::select! {
                first = self.queue.recv() => first,
                () = &mut over, if !self.queue.is_closed() => {
                    // What is in it is still given.
                    self.queue.close();
                    continue;
                }
            };
            let Some(first) = first else { break };
            let pack = self.fill(first).await;
            let Ok(place) = Arc::clone(&self.storing).acquire_owned().await else { return };
            tokio::spawn(store(Arc::clone(&self.shared), pack, place));
        }
        let _ = self.storing.acquire_many(STORING_MAX as u32).await;
    }

    async fn fill(&mut self, first: Taken) -> Pack {
        let mut pack = Pack::default();
        pack.add(first, self.times());
        let deadline = tokio::time::sleep(FLUSH_AFTER);
        tokio::pin!(deadline);
        while !pack.filler.builder.is_full() {
            let next = tokio::select! {
                next = self.queue.recv() => next,
                () = &mut deadline => break,
            };
            let Some(next) = next else { break };
            pack.add(next, self.times());
        }
        pack
    }

    fn times(&self) -> Times {
        Times::new(now_ms(), self.kept)
    }
}

impl Pack {
    fn add(&mut self, mut taken: Taken, times: Times) {
        let message = std::mem::take(&mut taken.message);
        self.bytes += message.len() as u64;
        // The frame was looked at when the message came.
        let read = each_entry(&message, |kind, entry| self.filler.add(&taken.identity, kind, entry, times));
        if read.is_err() {
            self.filler.counts.received += 1;
            self.filler.counts.undecodable += 1;
        }
        self.taken.push(taken);
    }
}

/// Stores a block, however long that takes: what was read is not lost while the database is away.
async fn store(shared: Arc<Shared>, pack: Pack, _place: OwnedSemaphorePermit) {
    let Pack { filler, taken, bytes } = pack;
    let finishing = Arc::clone(&shared);
    let batch = match tokio::task::spawn_blocking(move || finishing.batch(filler, bytes)).await {
        Ok(batch) => batch,
        Err(error) => return warn!(%error, "a block of access logs could not be made; its lines are lost"),
    };
    let mut wait = RETRY_MIN;
    while let Err(error) = shared.writer.wait(batch.clone()).await {
        match &error {
            WriteError::Closed => return warn!("access logs came too late to be stored: the collector is shutting down"),
            // It would not take it the next time either, and all that comes after it would wait for that.
            WriteError::Store(source) if !source.is_outage() => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "the database refused a block of access logs; its lines are lost"
                );
                shared.refused(batch);
                break;
            }
            _ => warn!(error = &error as &dyn std::error::Error, "access logs are not stored yet; trying again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
    drop(taken);
}

impl Shared {
    /// Counts what was received and is not stored.
    fn refused(&self, batch: WriteBatch) {
        let mut counts = batch.counts;
        let items = batch.blocks.iter().map(|write| u64::from(write.block.items)).sum();
        counts.refuse(DOOR, SIGNAL, "unavailable", items);
        self.intake.note(&counts);
    }

    fn batch(&self, filler: Filler, bytes: u64) -> WriteBatch {
        let is_known = |labels: &_| self.store.knows_edge(labels);
        let room = Room { is_known: &is_known, new_edges: EDGES_MAX.saturating_sub(self.store.edge_count()) };
        let (added, without_edge) = filler.edges.finish(&filler.builder, room);
        let mut counts = Counts::default();
        counts.add(DOOR, SIGNAL, "received", filler.counts.received);
        counts.add(DOOR, SIGNAL, "bytes", bytes);
        counts.refuse(DOOR, SIGNAL, "undecodable", filler.counts.undecodable);
        counts.refuse(DOOR, SIGNAL, "too_old", filler.counts.too_old);
        counts.refuse(DOOR, SIGNAL, "in_future", filler.counts.in_future);
        // Lines that are kept, of requests that no edge of the graph has room for.
        counts.add(DOOR, "edges", "received", without_edge);
        counts.refuse(DOOR, "edges", "edge_limit", without_edge);
        let blocks = match filler.builder.finish(LEVEL_QUICK) {
            Ok(blocks) => blocks,
            Err(error) => {
                warn!(%error, "a block of access logs could not be compressed");
                counts.refuse(DOOR, SIGNAL, "uncompressed", filler.builder.rows() as u64);
                Vec::new()
            }
        };
        let blocks = blocks.into_iter().map(|block| BlockWrite { door: DOOR, signal: SIGNAL, block: block.into() });
        // Named, because a try whose answer was lost may have stored it.
        let delivery = Some(Delivery { id: rand::random() });
        WriteBatch { blocks: blocks.collect(), added, delivery, counts, ..WriteBatch::default() }
    }
}
