//! Turns database rows into revisions and decides what the next revision of an object is.

use sidelight_api::config::{Action, ObjectKey};
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::{Change, Expect, NewRevision, RevisionError, StoredRevision};

/// A query over the revisions, as the literal that sqlx asks for: all columns of `$from`, then the rest.
macro_rules! select {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT config_revision_id, kind, namespace, name, revision, action, yaml, author, message, \
             created_at_ms, object_since_ms, rolled_back_to FROM ",
            $from,
            " ",
            $rest
        )
    };
}
pub(super) use select;

/// The same columns in both databases, so one reader for both.
pub(super) fn read<R>(row: &R) -> Result<StoredRevision, RevisionError>
where
    R: Row,
    for<'a> &'a str: ColumnIndex<R>,
    for<'a> String: Decode<'a, R::Database> + Type<R::Database>,
    for<'a> i64: Decode<'a, R::Database> + Type<R::Database>,
    for<'a> Option<i64>: Decode<'a, R::Database> + Type<R::Database>,
{
    let text = |column: &'static str| row.try_get::<String, _>(column).map_err(failed("read"));
    let number = |column: &'static str| row.try_get::<i64, _>(column).map_err(failed("read"));
    let rolled_back_to: Option<i64> = row.try_get("rolled_back_to").map_err(failed("read"))?;
    Ok(StoredRevision {
        sequence: number("config_revision_id")?,
        key: ObjectKey { kind: text("kind")?, namespace: text("namespace")?, name: text("name")? },
        revision: count(number("revision")?)?,
        action: parse_action(&text("action")?)?,
        yaml: text("yaml")?,
        author: text("author")?,
        message: text("message")?,
        created_at_ms: number("created_at_ms")?,
        object_since_ms: number("object_since_ms")?,
        rolled_back_to: rolled_back_to.map(count).transpose()?,
    })
}

/// The row that `new` becomes on top of `head`; `sequence` is filled in by the database.
pub(super) fn follow(new: NewRevision, head: Option<&StoredRevision>) -> Result<StoredRevision, RevisionError> {
    let found = head.map_or(0, |h| h.revision);
    let living = head.filter(|h| !h.is_deletion());
    if let Expect::Head(expected) = new.expect
        && expected != found
        && !(expected == 0 && living.is_none())
    {
        return Err(RevisionError::Conflict { key: new.key, expected, found });
    }
    let (action, yaml, rolled_back_to) = match new.change {
        Change::Save { yaml } if living.is_some() => (Action::Configured, yaml, None),
        Change::Save { yaml } => (Action::Created, yaml, None),
        Change::RollBack { yaml, to } => (Action::RolledBack, yaml, Some(to)),
        Change::Delete if living.is_none() => return Err(RevisionError::NotFound { key: new.key }),
        Change::Delete => (Action::Deleted, String::new(), None),
    };
    Ok(StoredRevision {
        sequence: 0,
        key: new.key,
        revision: found + 1,
        action,
        yaml,
        author: new.author,
        message: new.message,
        created_at_ms: new.created_at_ms,
        object_since_ms: living.map_or(new.created_at_ms, |h| h.object_since_ms),
        rolled_back_to,
    })
}

pub(super) fn action_word(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        // An unchanged object writes no row; should it ever, it reads as what it is: the same text once more.
        Action::Configured | Action::Unchanged => "configured",
        Action::Deleted => "deleted",
        Action::RolledBack => "rolledback",
    }
}

pub(super) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> RevisionError {
    move |source| RevisionError::Database { doing, source }
}

/// Revision numbers start at 1 and never reach the sign bit.
pub(super) fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn count(number: i64) -> Result<u64, RevisionError> {
    u64::try_from(number).map_err(|_| RevisionError::Corrupt { what: format!("revision {number}") })
}

fn parse_action(word: &str) -> Result<Action, RevisionError> {
    match word {
        "created" => Ok(Action::Created),
        "configured" => Ok(Action::Configured),
        "deleted" => Ok(Action::Deleted),
        "rolledback" => Ok(Action::RolledBack),
        _ => Err(RevisionError::Corrupt { what: format!("action `{word}`") }),
    }
}
