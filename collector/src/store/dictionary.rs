//! Reads the dictionary of edges into memory, where it is asked for everything that only labels can tell.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::batch::Edge;
use super::caches::EdgeRow;
use super::database::{Database, Row, Transaction};
use super::schema::Dialect;
use super::write::parse_bounds;
use super::{EdgeLabels, StoreError};

/// Held until the end of its transaction by whoever makes ids of edges, so that ids are committed in their order: whoever
/// has read one has read all below it.
const NEW_EDGES_LOCK: i64 = 20_006;

/// Held shared by whoever writes ids of edges, and alone by whoever retires edges.
const EDGE_IDS_LOCK: i64 = 20_002;

/// Reads the edges that the cache does not have yet, or all of them when some were forgotten.
pub(super) async fn refresh_edges<D: Database>(database: &D, transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    let caches = database.caches();
    let generation = edge_generation(transaction).await?;
    let held = caches.edge_generation();
    if generation < held {
        // This transaction looks at a past that the cache has left behind.
        return Ok(());
    }
    if generation > held {
        let all = transaction.fetch(&edge_sql("1 = 1"), vec![]).await?;
        let mut values = Values::default();
        caches.replace_edges(generation, all.iter().map(|row| edge_row(row, &mut values)).collect());
        return Ok(());
    }
    let rows = transaction.fetch(&edge_sql("edge.edge_id > $1"), vec![caches.last_read_edge_id().into()]).await?;
    let last = rows.iter().map(|row| row.int(0)).max();
    let unknown = rows.iter().filter(|row| caches.edge(row.int(0)).is_none());
    let mut values = Values::default();
    caches.add_edges(generation, unknown.map(|row| edge_row(row, &mut values)).collect(), last);
    Ok(())
}

/// Waits for its turn to make ids of edges.
pub(super) async fn lock_new_edges<D: Database>(transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    if D::DIALECT == Dialect::Postgres {
        transaction.execute(&format!("SELECT pg_advisory_xact_lock({NEW_EDGES_LOCK})"), vec![]).await?;
    }
    Ok(())
}

async fn edge_generation(transaction: &mut dyn Transaction) -> Result<i64, StoreError> {
    let rows = transaction.fetch("SELECT edge_generation FROM store_info", vec![]).await?;
    Ok(rows.first().map_or(0, |row| row.int(0)))
}

/// Makes sure that no id of the cache is retired before the transaction ends, and returns the cache's generation.
pub(super) async fn pin_edges<D: Database>(database: &D, transaction: &mut dyn Transaction) -> Result<i64, StoreError> {
    if D::DIALECT == Dialect::Postgres {
        transaction.execute(&format!("SELECT pg_advisory_xact_lock_shared({EDGE_IDS_LOCK})"), vec![]).await?;
    }
    // Read behind the lock, in a statement of its own: it must see what whoever held it has done.
    let generation = edge_generation(transaction).await?;
    if generation != database.caches().edge_generation() {
        refresh_edges(database, transaction).await?;
    }
    Ok(generation)
}

/// Begins a transaction that changes the dictionary under its users: none of them is writing meanwhile.
pub(super) async fn begin_next_generation<D: Database>(database: &D) -> Result<Box<dyn Transaction>, StoreError> {
    let mut transaction = database.begin().await?;
    if D::DIALECT == Dialect::Postgres {
        transaction.execute(&format!("SELECT pg_advisory_xact_lock({EDGE_IDS_LOCK})"), vec![]).await?;
    }
    transaction.execute("UPDATE store_info SET edge_generation = edge_generation + 1", vec![]).await?;
    Ok(transaction)
}

fn edge_sql(condition: &str) -> String {
    format!(
        "SELECT edge.edge_id, edge.retired, layout.bounds, {} FROM edge JOIN layout ON layout.layout_id = edge.layout_id \
         WHERE {condition}",
        EdgeLabels::NAMES.map(|name| format!("edge.{name}")).join(", ")
    )
}

fn edge_row(row: &Row, values: &mut Values) -> EdgeRow {
    EdgeRow { id: row.int(0), edge: Arc::new(edge_of(row, 2, values)), is_retired: row.int(1) != 0 }
}

/// Values that edges share: there are few, and hundreds of thousands of edges.
#[derive(Default)]
struct Values {
    labels: HashMap<String, Arc<str>>,
    bounds: HashMap<String, Arc<[f64]>>,
}

/// Reads the bounds at `first` and the labels behind them.
fn edge_of(row: &Row, first: usize, values: &mut Values) -> Edge {
    let mut labels = EdgeLabels::default();
    for (index, name) in EdgeLabels::NAMES.iter().enumerate() {
        let text = row.text(first + 1 + index);
        let value = values.labels.entry(text.to_owned()).or_insert_with(|| Arc::from(text));
        labels.set(name, value.clone());
    }
    let text = row.text(first);
    let bounds = values.bounds.entry(text.to_owned()).or_insert_with(|| parse_bounds(text));
    Edge::new(Arc::new(labels), bounds.clone())
}

pub(super) async fn known_edges<D: Database>(database: &D) -> Result<Vec<Arc<EdgeLabels>>, StoreError> {
    let mut transaction = database.begin_read().await?;
    refresh_edges(database, &mut *transaction).await?;
    Ok(database.caches().edges().into_iter().map(|(_, edge)| edge.labels.clone()).collect())
}

pub(super) async fn namespaces<D: Database>(database: &D) -> Result<Vec<String>, StoreError> {
    let mut transaction = database.begin_read().await?;
    refresh_edges(database, &mut *transaction).await?;
    let targets = transaction.fetch("SELECT DISTINCT namespace FROM target", vec![]).await?;
    let mut names: BTreeSet<String> = targets.iter().map(|row| row.text(0).to_owned()).collect();
    for (_, edge) in database.caches().edges() {
        names.extend(edge.labels.namespaces().map(str::to_owned));
    }
    names.remove("");
    names.remove("unknown");
    Ok(names.into_iter().collect())
}
