//! Commits a write, and finds out what became of it when the connection breaks meanwhile.
//!
//! Each write leaves a mark of its own among the deliveries. A broken connection does not tell whether the commit came
//! through; the mark does.

use std::time::{Duration, Instant};

use super::StoreError;
use super::batch::Delivery;
use super::database::{Database, Transaction, Value};
use super::schema::Dialect;

/// How long the outcome is asked for, while whoever waits for the write has no answer.
const ASKING_TIME_MAX: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time of a mark that was set by whoever asked, not by a write.
const ASKED_AT_MS: i64 = -1;

/// A mark that no other write has.
pub(super) fn mark() -> Delivery {
    Delivery { id: uuid::Uuid::new_v4().into_bytes() }
}

/// Commits the write that has set `mark`.
pub(super) async fn commit<D: Database>(
    database: &D,
    transaction: Box<dyn Transaction>,
    mark: Delivery,
) -> Result<(), StoreError> {
    let Err(error) = transaction.commit().await else { return Ok(()) };
    if !error.is_outage() {
        return Err(error);
    }
    let began = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        match is_committed(database, mark).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(error),
            Err(_) if began.elapsed() + pause < ASKING_TIME_MAX => tokio::time::sleep(pause).await,
            Err(_) => return Err(StoreError::Unknown { source: Box::new(error) }),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// In Postgres the commit may still be on its way: setting the mark waits for whoever sets it now, and keeps it from being
/// set later. In SQLite nothing is on its way, and a full disk would not take a mark.
async fn is_committed<D: Database>(database: &D, mark: Delivery) -> Result<bool, StoreError> {
    let id = || Value::Blob(mark.id.to_vec());
    if D::DIALECT == Dialect::Postgres {
        let mut transaction = database.begin().await?;
        let sql = "INSERT INTO delivery (delivery_id, at_ms) VALUES ($1, $2) ON CONFLICT (delivery_id) DO NOTHING";
        transaction.execute(sql, vec![id(), ASKED_AT_MS.into()]).await?;
        transaction.commit().await?;
    }
    let sql = "SELECT at_ms FROM delivery WHERE delivery_id = $1";
    let rows = database.begin_read().await?.fetch(sql, vec![id()]).await?;
    Ok(rows.first().is_some_and(|row| row.int(0) != ASKED_AT_MS))
}
