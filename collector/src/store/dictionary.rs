//! Reads the dictionary of edges into memory, where it is asked for everything that only labels can tell.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::batch::Edge;
use super::database::{Database, Row, Transaction};
use super::schema::Dialect;
use super::write::parse_bounds;
use super::{EdgeLabels, StoreError};

/// How far the ids of edges may have been committed out of order by other collectors.
const EDGE_IDS_OVERLAP: i64 = 1_000;

/// Reads the edges that the cache does not have yet.
pub(super) async fn refresh_edges<D: Database>(database: &D, transaction: &mut dyn Transaction) -> Result<(), StoreError> {
    let after = match database.caches().last_edge_id() {
        last if D::DIALECT == Dialect::Postgres => last.saturating_sub(EDGE_IDS_OVERLAP),
        last => last,
    };
    let rows = transaction.fetch(&edge_sql("edge.edge_id > $1"), vec![after.into()]).await?;
    let unknown = rows.iter().filter(|row| database.caches().edge(row.int(0)).is_none());
    let mut values = Values::default();
    let added = unknown.map(|row| (row.int(0), Arc::new(edge_of(row, 1, &mut values)))).collect();
    database.caches().add_edges(added);
    Ok(())
}

fn edge_sql(condition: &str) -> String {
    format!(
        "SELECT edge.edge_id, layout.bounds, {} FROM edge JOIN layout ON layout.layout_id = edge.layout_id WHERE {condition}",
        EdgeLabels::NAMES.map(|name| format!("edge.{name}")).join(", ")
    )
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
