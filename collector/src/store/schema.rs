//! Time slices: their families, lengths, names, and the tables they are made of.

use super::StoreError;
use super::database::{Database, Transaction};

/// Columns for the buckets of a histogram; a finer one is merged into this many.
pub const BUCKETS_MAX: usize = 24;

/// Columns of a rollup after its key, buckets left out.
pub(super) const TOTALS: [&str; 10] = [
    "requests",
    "duration_sum",
    "request_bytes",
    "response_bytes",
    "request_messages",
    "response_messages",
    "tcp_sent_bytes",
    "tcp_received_bytes",
    "tcp_opened",
    "tcp_closed",
];

/// Of [`TOTALS`], those that are not whole numbers.
pub(super) const REALS: [&str; 3] = ["duration_sum", "request_bytes", "response_bytes"];

/// Names of all columns of a rollup after its key.
pub(super) fn value_columns() -> impl Iterator<Item = String> {
    TOTALS.iter().map(|name| (*name).to_owned()).chain((0..BUCKETS_MAX).map(|b| format!("b{b:02}")))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// Tables that share a shape and differ in the time they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    TenSeconds,
    Minute,
    Hour,
    SpanBlock,
    LogBlock,
    SampleBlock,
    VerdictBlock,
}

impl Family {
    pub const ALL: [Self; 7] =
        [Self::TenSeconds, Self::Minute, Self::Hour, Self::SpanBlock, Self::LogBlock, Self::SampleBlock, Self::VerdictBlock];
    /// Those whose rows are blocks.
    pub const BLOCKS: [Self; 4] = [Self::SpanBlock, Self::LogBlock, Self::SampleBlock, Self::VerdictBlock];
    /// Finest first.
    pub const ROLLUPS: [Self; 3] = [Self::TenSeconds, Self::Minute, Self::Hour];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TenSeconds => "rollup_10s",
            Self::Minute => "rollup_1m",
            Self::Hour => "rollup_1h",
            Self::SpanBlock => "span_block",
            Self::LogBlock => "log_block",
            Self::SampleBlock => "sample_block",
            Self::VerdictBlock => "verdict_block",
        }
    }

    /// Seconds of one step; spans and blocks have none.
    #[must_use]
    pub fn step_s(self) -> i64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::SpanBlock | Self::LogBlock | Self::SampleBlock | Self::VerdictBlock => 1,
        }
    }

    /// Seconds that one slice holds.
    #[must_use]
    pub fn slice_s(self) -> i64 {
        match self {
            Self::TenSeconds | Self::SampleBlock => 2 * 3600,
            Self::Minute => 24 * 3600,
            Self::Hour => 30 * 24 * 3600,
            Self::SpanBlock | Self::LogBlock | Self::VerdictBlock => 3600,
        }
    }

    /// The slice that holds a time.
    #[must_use]
    pub fn slice_at(self, t_s: i64) -> Slice {
        Slice { family: self, from_s: t_s.div_euclid(self.slice_s()) * self.slice_s() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice {
    pub family: Family,
    pub from_s: i64,
}

impl Slice {
    #[must_use]
    pub fn to_s(self) -> i64 {
        self.from_s + self.family.slice_s()
    }

    pub(super) fn table(self) -> String {
        format!("{}_{}", self.family.name(), self.from_s)
    }
}

/// Makes the table of a slice if it is not there yet, and lists it. In a transaction of its own: a writer that held locks
/// meanwhile could wait for a reader that waits for it.
pub(super) async fn create_slice<D: Database>(database: &D, slice: Slice) -> Result<(), StoreError> {
    let mut transaction = database.begin().await?;
    if D::DIALECT == Dialect::Postgres {
        // Two collectors that make the same partition at once would both find it missing.
        transaction.execute("SELECT pg_advisory_xact_lock(20001)", vec![]).await?;
    }
    let listed = transaction
        .execute(
            "INSERT INTO slice (family, from_s, to_s) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            vec![slice.family.name().into(), slice.from_s.into(), slice.to_s().into()],
        )
        .await?;
    if listed > 0 {
        for statement in ddl(D::DIALECT, slice) {
            transaction.execute(&statement, vec![]).await?;
        }
    }
    transaction.commit().await?;
    database.caches().add_slice(slice);
    Ok(())
}

pub(super) fn ddl(dialect: Dialect, slice: Slice) -> Vec<String> {
    let table = slice.table();
    match (dialect, slice.family) {
        (Dialect::Postgres, family) => {
            let parent = family.name();
            let (from, to) = (slice.from_s, slice.to_s());
            // Attached, not made in place: that would lock out all readers of the family.
            vec![
                format!("CREATE TABLE {table} (LIKE {parent} INCLUDING ALL)"),
                format!("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"),
            ]
        }
        // Keyed by time first: new rows go to the end, and a window is one range.
        (Dialect::Sqlite, Family::TenSeconds | Family::Minute | Family::Hour) => {
            let columns: String = value_columns().map(|name| format!("{name} {}, ", sqlite_type(&name))).collect();
            vec![format!(
                "CREATE TABLE {table} (t INTEGER NOT NULL, edge_id INTEGER NOT NULL, {columns}\
                 PRIMARY KEY (t, edge_id)) WITHOUT ROWID"
            )]
        }
        // The summary before the data: a search then never touches the pages of the data.
        (Dialect::Sqlite, Family::SpanBlock | Family::LogBlock | Family::SampleBlock | Family::VerdictBlock) => vec![
            format!(
                "CREATE TABLE {table} (block_id INTEGER PRIMARY KEY, slice_s INTEGER NOT NULL, shard INTEGER NOT NULL, \
                 level INTEGER NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, items INTEGER NOT NULL, \
                 summary BLOB NOT NULL, data BLOB NOT NULL)"
            ),
            format!("CREATE INDEX {table}_to_merge ON {table} (shard) WHERE level < 2"),
        ],
    }
}

fn sqlite_type(column: &str) -> &'static str {
    if REALS.contains(&column) { "REAL" } else { "INTEGER" }
}

/// Drops a slice and remembers up to when its family has been dropped.
pub(super) async fn drop_slice(transaction: &mut dyn Transaction, slice: Slice) -> Result<(), StoreError> {
    transaction.execute(&format!("DROP TABLE IF EXISTS {}", slice.table()), vec![]).await?;
    transaction
        .execute("DELETE FROM slice WHERE family = $1 AND from_s = $2", vec![slice.family.name().into(), slice.from_s.into()])
        .await?;
    transaction
        .execute(
            "INSERT INTO dropped (family, before_s) VALUES ($1, $2) ON CONFLICT (family) DO UPDATE SET before_s = \
             CASE WHEN dropped.before_s > excluded.before_s THEN dropped.before_s ELSE excluded.before_s END",
            vec![slice.family.name().into(), slice.to_s().into()],
        )
        .await?;
    Ok(())
}

/// Slices of a family that touch a span of time, oldest first.
pub(super) async fn slices_between(
    transaction: &mut dyn Transaction,
    family: Family,
    from_s: i64,
    to_s: i64,
) -> Result<Vec<Slice>, StoreError> {
    let rows = transaction
        .fetch(
            "SELECT from_s FROM slice WHERE family = $1 AND to_s > $2 AND from_s < $3 ORDER BY from_s",
            vec![family.name().into(), from_s.into(), to_s.into()],
        )
        .await?;
    Ok(rows.iter().map(|row| Slice { family, from_s: row.int(0) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_aligned_and_named_by_their_start() {
        let slice = Family::TenSeconds.slice_at(1_795_416_100);
        assert_eq!(slice.from_s, 1_795_413_600);
        assert_eq!(slice.to_s(), 1_795_420_800);
        assert_eq!(slice.table(), "rollup_10s_1795413600");
        assert_eq!(Family::Minute.slice_at(-1).from_s, -86_400);
    }
}
