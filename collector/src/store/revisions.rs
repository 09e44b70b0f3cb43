//! Keeps configuration objects as append-only revisions, the same way in both databases.

mod postgres;
mod row;
mod sqlite;

use futures_util::future::BoxFuture;
use sidelight_api::config::{Action, ObjectKey};

/// Revisions that one history answers with, newest first; older ones stay in the store.
pub const HISTORY_REVISIONS_MAX: u32 = 1_000;

/// Changes that one timeline answers with, newest first.
pub const CHANGES_MAX: u32 = 1_000;

/// Objects that may be saved in one transaction.
pub const BATCH_OBJECTS_MAX: usize = 1_000;

/// One row of an object's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRevision {
    /// Grows by one or more with every row of the table, whatever the object.
    pub sequence: i64,
    pub key: ObjectKey,
    pub revision: u64,
    pub action: Action,
    /// As written; empty for a deletion.
    pub yaml: String,
    pub author: String,
    pub message: String,
    pub created_at_ms: i64,
    /// When the object came to be; starts anew when it is saved after a deletion.
    pub object_since_ms: i64,
    pub rolled_back_to: Option<u64>,
}

impl StoredRevision {
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.action == Action::Deleted
    }
}

/// One row to be written; its number is given by the store.
#[derive(Clone, Debug)]
pub struct NewRevision {
    pub key: ObjectKey,
    pub change: Change,
    pub expect: Expect,
    pub author: String,
    pub message: String,
    pub created_at_ms: i64,
}

/// What happens to the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Recorded as created when there was none, else as configured.
    Save { yaml: String },
    /// Fails with `NotFound` when there is none.
    Delete,
    /// The text is that of revision `to`; the caller has read it.
    RollBack { yaml: String, to: u64 },
}

/// What the writer believes to be the newest revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Overwrite whatever there is.
    Anything,
    /// Revision number of the head, deletions included; 0 stands for "there is no such object", be it deleted or new.
    Head(u64),
}

#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    #[error(
        "`{kind}` `{namespace}/{name}` is at revision {found}, not at {expected}",
        kind = key.kind, namespace = key.namespace, name = key.name
    )]
    Conflict { key: ObjectKey, expected: u64, found: u64 },
    #[error("there is no `{kind}` `{namespace}/{name}`", kind = key.kind, namespace = key.namespace, name = key.name)]
    NotFound { key: ObjectKey },
    #[error("failed to {doing} configuration revisions")]
    Database {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("a configuration revision in the store cannot be read: {what}")]
    Corrupt { what: String },
}

/// The history of every configuration object.
///
/// Rows are written once and never changed. Every method may be called by any number of tasks and, on Postgres, by
/// several collectors at the same time. An empty answer means that there is nothing; errors of kind `Database` may pass.
pub trait RevisionStore: Send + Sync {
    /// Newest revision of every object that exists, in the order of their keys.
    fn current(&self) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>>;

    /// Newest revision of one object, be it a deletion; `None` when it never existed.
    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>>;

    /// Newest first, deletions included, at most [`HISTORY_REVISIONS_MAX`].
    fn history<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Vec<StoredRevision>, RevisionError>>;

    fn revision<'a>(&'a self, key: &'a ObjectKey, revision: u64) -> BoxFuture<'a, Result<Option<StoredRevision>, RevisionError>>;

    /// Writes all rows in one transaction or none; answers them in the same order with their numbers.
    fn append(&self, batch: Vec<NewRevision>) -> BoxFuture<'_, Result<Vec<StoredRevision>, RevisionError>>;

    /// Rows with `from_ms <= created_at_ms < to_ms`, oldest first, the newest [`CHANGES_MAX`] of them. No namespaces
    /// means all.
    fn changes<'a>(
        &'a self,
        from_ms: i64,
        to_ms: i64,
        namespaces: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<StoredRevision>, RevisionError>>;

    /// `sequence` of the newest row, 0 when there is none: tells whether somebody else has written.
    fn newest_sequence(&self) -> BoxFuture<'_, Result<i64, RevisionError>>;
}
