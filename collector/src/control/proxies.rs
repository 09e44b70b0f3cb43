//! Knows every proxy that is connected, or was until a moment ago, and how far each has come with its configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sidelight_api::proxy::{SyncState, TypeSync};
use sidelight_mesh::identity::NodeIdentity;

use super::resources::Kind;
use crate::clock::now_ms;

/// Proxies that may be connected, or be within their grace, at one time; a further one is turned away.
pub const PROXIES_MAX: usize = 10_000;

/// Characters kept of what a proxy says when it refuses a configuration.
const ERROR_CHARS_MAX: usize = 2_000;

/// How long a workload whose stream broke is still taken to be there.
///
/// A stream breaks without a word when the network or the control plane hiccups, while the workload goes on serving;
/// taking its endpoints away at once would turn a hiccup into an outage. A proxy that ends its stream in order is
/// leaving, and is removed at once.
pub const RECONNECT_GRACE: Duration = Duration::from_secs(10);

/// How long a proxy may take to answer a configuration until it counts as out of sync.
pub const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// One registered proxy.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) identity: Arc<NodeIdentity>,
    pub(super) connected: bool,
    pub(super) registered_at_ms: i64,
    pub(super) connected_at_ms: i64,
    pub(super) types: BTreeMap<Kind, TypeSync>,
    /// Newest state of the mesh that was translated for this proxy.
    pub(super) seen: u64,
    connection: u64,
    left: Option<Instant>,
}

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The proxy closed it: it is leaving.
    Orderly,
    /// It broke, or we closed it.
    Broken,
}

#[derive(Debug, Default)]
pub(super) struct Proxies {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    records: BTreeMap<String, Record>,
    connections: u64,
}

/// Names one stream of one proxy: a proxy that reconnects before its old stream is known to be dead has two.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) node_id: String,
    number: u64,
}

impl Proxies {
    /// `None` when there is no room.
    pub(super) fn connect(&self, identity: Arc<NodeIdentity>) -> Option<Connection> {
        let now = now_ms();
        let mut table = self.table.lock();
        let known = table.records.get(&identity.node_id).map(|r| r.registered_at_ms);
        if known.is_none() && table.records.len() >= PROXIES_MAX {
            return None;
        }
        table.connections += 1;
        let number = table.connections;
        let node_id = identity.node_id.clone();
        let record = Record {
            identity,
            connected: true,
            registered_at_ms: known.unwrap_or(now),
            connected_at_ms: now,
            types: BTreeMap::new(),
            seen: 0,
            connection: number,
            left: None,
        };
        table.records.insert(node_id.clone(), record);
        Some(Connection { node_id, number })
    }

    pub(super) fn disconnect(&self, connection: &Connection, ending: Ending) {
        let mut table = self.table.lock();
        let Some(record) = table.current(connection) else { return };
        match ending {
            Ending::Orderly => {
                table.records.remove(&connection.node_id);
            }
            Ending::Broken => {
                record.connected = false;
                record.left = Some(Instant::now());
            }
        }
    }

    /// Forgets those whose grace is over; tells whether there were any.
    pub(super) fn forget_the_gone(&self, now: Instant) -> bool {
        let mut table = self.table.lock();
        let before = table.records.len();
        table.records.retain(|_, r| r.left.is_none_or(|left| now.duration_since(left) < RECONNECT_GRACE));
        table.records.len() != before
    }

    pub(super) fn out_of_sync(&self, now_ms: i64) -> BTreeSet<String> {
        let grace_ms = i64::try_from(ANSWER_GRACE.as_millis()).unwrap_or(i64::MAX);
        let behind = |sync: &TypeSync| match sync.state {
            SyncState::Synced => false,
            SyncState::Waiting => now_ms - sync.sent_at_ms > grace_ms,
            SyncState::Refused => true,
        };
        let table = self.table.lock();
        let behind = table.records.iter().filter(|(_, record)| record.types.values().any(behind));
        behind.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn list(&self) -> Vec<Record> {
        self.table.lock().records.values().cloned().collect()
    }

    pub(super) fn saw(&self, connection: &Connection, seen: u64) {
        if let Some(record) = self.table.lock().current(connection) {
            record.seen = seen;
        }
    }

    pub(super) fn sent(&self, connection: &Connection, kind: Kind, version: &str) {
        self.with_type(connection, kind, |sync| {
            sync.sent_version = version.to_owned();
            sync.sent_at_ms = now_ms();
            // What was refused stays refused until something else is accepted.
            if sync.state != SyncState::Refused {
                sync.state = SyncState::Waiting;
            }
        });
    }

    pub(super) fn accepted(&self, connection: &Connection, kind: Kind, version: &str) {
        self.with_type(connection, kind, |sync| {
            sync.acked_version = version.to_owned();
            sync.acked_at_ms = now_ms();
            sync.state = SyncState::Synced;
            sync.error = None;
        });
    }

    /// The proxy asks for less than before: what it has of the rest goes by another version.
    pub(super) fn renamed(&self, connection: &Connection, kind: Kind, version: &str) {
        self.with_type(connection, kind, |sync| {
            sync.sent_version = version.to_owned();
            if sync.state == SyncState::Synced {
                sync.acked_version = version.to_owned();
            }
        });
    }

    pub(super) fn refused(&self, connection: &Connection, kind: Kind, error: &str) {
        self.with_type(connection, kind, |sync| {
            sync.state = SyncState::Refused;
            sync.error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
        });
    }

    fn with_type(&self, connection: &Connection, kind: Kind, change: impl FnOnce(&mut TypeSync)) {
        if let Some(record) = self.table.lock().current(connection) {
            change(record.types.entry(kind).or_default());
        }
    }
}

impl Table {
    /// `None` when another stream of the same proxy has taken over.
    fn current(&mut self, connection: &Connection) -> Option<&mut Record> {
        self.records.get_mut(&connection.node_id).filter(|r| r.connection == connection.number)
    }
}
