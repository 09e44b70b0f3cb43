//! Which tables and columns a database has, as the database itself tells: a table that is added cannot be forgotten.

use std::collections::HashSet;

use super::AdminError;
use crate::store::StoreError;
use crate::store::database::{Row, Transaction};
use crate::store::schema::{Dialect, Family, Slice};

/// What a column holds; there are no other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Real,
    Text,
    Blob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
}

impl Table {
    pub fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    /// As the target has it, in whatever order.
    pub fn has_shape_of(&self, other: &Self) -> bool {
        let mut columns = [self.columns.clone(), other.columns.clone()];
        columns.iter_mut().for_each(|columns| columns.sort_by(|a, b| a.0.cmp(&b.0)));
        self.name == other.name && columns[0] == columns[1]
    }
}

/// All tables that hold rows, slices included; what others refer to comes before them.
pub(super) async fn tables(transaction: &mut dyn Transaction, dialect: Dialect) -> Result<Vec<Table>, AdminError> {
    let (columns, references) = match dialect {
        Dialect::Sqlite => (SQLITE_COLUMNS, SQLITE_REFERENCES),
        Dialect::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
    };
    let mut tables: Vec<Table> = Vec::new();
    for row in transaction.fetch(columns, vec![]).await? {
        let column = (row.text(1).to_owned(), kind(&row)?);
        match tables.last_mut() {
            Some(table) if table.name == row.text(0) => table.columns.push(column),
            _ => tables.push(Table { name: row.text(0).to_owned(), columns: vec![column] }),
        }
    }
    let rows = transaction.fetch(references, vec![]).await?;
    let references: Vec<(&str, &str)> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    Ok(in_order(tables, &references))
}

fn kind(row: &Row) -> Result<Kind, AdminError> {
    match row.text(2).to_ascii_lowercase().as_str() {
        "integer" | "int8" => Ok(Kind::Int),
        "real" | "float8" => Ok(Kind::Real),
        "text" => Ok(Kind::Text),
        "blob" | "bytea" => Ok(Kind::Blob),
        _ => Err(AdminError::Shape { table: format!("{}, column {}", row.text(0), row.text(1)) }),
    }
}

/// Takes again and again what refers to nothing that is still to come.
fn in_order(mut tables: Vec<Table>, references: &[(&str, &str)]) -> Vec<Table> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waiting: HashSet<String> = tables.iter().map(|table| table.name.clone()).collect();
        let waits =
            |table: &Table| references.iter().any(|(from, to)| *from == table.name && from != to && waiting.contains(*to));
        let (later, now): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(waits);
        if now.is_empty() {
            // A circle: no order is right, and the database says so when it minds.
            ordered.extend(later);
            break;
        }
        ordered.extend(now);
        tables = later;
    }
    ordered
}

/// The slices that are listed.
pub(super) async fn slices(transaction: &mut dyn Transaction) -> Result<Vec<Slice>, StoreError> {
    let rows = transaction.fetch("SELECT family, from_s FROM slice ORDER BY family, from_s", vec![]).await?;
    let family = |name: &str| Family::ALL.into_iter().find(|family| family.name() == name);
    Ok(rows.iter().filter_map(|row| Some(Slice { family: family(row.text(0))?, from_s: row.int(1) })).collect())
}

const SQLITE_COLUMNS: &str = "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND m.name <> '_sqlx_migrations' ORDER BY m.name, c.cid";

const SQLITE_REFERENCES: &str = "SELECT m.name, f.\"table\" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f \
     WHERE m.type = 'table'";

/// Of kind `r`: partitions, but not what they are partitions of.
const POSTGRES_COLUMNS: &str = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), CAST(t.typname AS TEXT) \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid \
     WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r' AND a.attnum > 0 \
     AND NOT a.attisdropped AND c.relname <> '_sqlx_migrations' ORDER BY c.relname, a.attnum";

const POSTGRES_REFERENCES: &str = "SELECT CAST(c.relname AS TEXT), CAST(f.relname AS TEXT) FROM pg_constraint k \
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid \
     WHERE k.contype = 'f' AND k.connamespace = CAST(current_schema() AS regnamespace)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_referred_to_comes_first() {
        let table = |name: &str| Table { name: name.to_owned(), columns: Vec::new() };
        let tables = ["a", "b", "c", "d"].map(table).to_vec();
        let ordered = in_order(tables, &[("a", "c"), ("c", "d"), ("b", "b")]);
        let names: Vec<&str> = ordered.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["b", "d", "c", "a"]);
        assert_eq!(in_order(vec![table("a"), table("b")], &[("a", "b"), ("b", "a")]).len(), 2);
    }
}
