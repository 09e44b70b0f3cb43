//! What lines are looked for, and which rows of a block they are.

use super::CorruptLog;
use super::builder::Cell;
use super::decode::{Column, Id, LogBlock};
use super::fields::{NumberField, TextField};
use super::record::LogRecord;
use super::summary::{NAMESPACE_ATTRIBUTES, WORKLOAD_ATTRIBUTES};

/// What lines are looked for: every condition must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogQuery {
    /// Nanoseconds since 1970, included.
    pub from_ns: i64,
    /// Excluded.
    pub to_ns: i64,
    /// Of the resource.
    pub service: Option<String>,
    pub workload: Option<String>,
    pub namespace: Option<String>,
    pub direction: Option<String>,
    pub method: Option<String>,
    pub path_prefix: Option<String>,
    /// Smallest and largest response code; 0 is an access log's line without a response.
    pub code: Option<(u64, u64)>,
    /// Any of these response flags.
    pub flags: Vec<String>,
    /// Smallest of OTLP's numbers.
    pub severity: Option<u8>,
    pub trace_id: Option<[u8; 16]>,
    pub request_id: Option<String>,
    /// In any text of the line; upper and lower case of ASCII are the same.
    pub text: Option<String>,
    /// Lines, newest first.
    pub limit: usize,
}

/// Lines that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogAnswer {
    /// Newest first.
    pub records: Vec<LogRecord>,
    /// Lines older than this were not looked at: the limit was reached, or the search had read enough. `None` when all of
    /// the time that was asked for was searched.
    pub searched_from_ns: Option<i64>,
    /// Blocks that could not be read; their lines are missing.
    pub corrupt_blocks: u64,
}

impl LogBlock {
    /// Rows that match, newest first.
    ///
    /// # Errors
    /// When a column cannot be read.
    pub fn find(&self, query: &LogQuery) -> Result<Vec<u32>, CorruptLog> {
        let from = self.times_ns.partition_point(|time| *time < query.from_ns) as u32;
        let to = self.times_ns.partition_point(|time| *time < query.to_ns) as u32;
        let mut rows: Vec<u32> = (from..to.max(from)).rev().collect();
        self.keep_resources(&mut rows, query)?;
        self.keep_equal(&mut rows, TextField::Direction, query.direction.as_deref())?;
        self.keep_equal(&mut rows, TextField::Method, query.method.as_deref())?;
        self.keep_numbers(&mut rows, query)?;
        if let Some(prefix) = &query.path_prefix {
            self.keep_texts(&mut rows, TextField::Path, |path| path.starts_with(prefix.as_str()))?;
        }
        if !query.flags.is_empty() {
            let has = |flags: &str| flags.split(',').any(|flag| query.flags.iter().any(|wanted| wanted == flag));
            self.keep_texts(&mut rows, TextField::Flags, has)?;
        }
        if let Some(trace_id) = query.trace_id.map(u128::from_be_bytes) {
            let column = self.trace_ids()?;
            rows.retain(|row| column.at(*row as usize) == Id::Raw(trace_id));
        }
        if let Some(request_id) = &query.request_id {
            let column = self.id_column(TextField::RequestId)?;
            rows.retain(|row| self.id_text(column.at(*row as usize)) == *request_id);
        }
        if let Some(text) = &query.text {
            self.keep_containing(&mut rows, text)?;
        }
        Ok(rows)
    }

    fn keep_resources(&self, rows: &mut Vec<u32>, query: &LogQuery) -> Result<(), CorruptLog> {
        if query.service.is_none() && query.workload.is_none() && query.namespace.is_none() {
            return Ok(());
        }
        let named = |cells: &[(u32, Cell)], names: &[&str], wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                let of = |(name, cell): &(u32, Cell)| match cell {
                    Cell::Text(id) => names.contains(&self.text(*name)) && self.text(*id) == wanted,
                    _ => false,
                };
                cells.iter().any(of)
            })
        };
        let matches = |(names, cells): &([u32; 3], Vec<(u32, Cell)>)| {
            query.service.as_ref().is_none_or(|service| self.text(names[0]) == service)
                && named(cells, &WORKLOAD_ATTRIBUTES, &query.workload)
                && named(cells, &NAMESPACE_ATTRIBUTES, &query.namespace)
        };
        let wanted: Vec<bool> = self.resources.iter().map(matches).collect();
        let column = self.resource_column()?;
        rows.retain(|row| wanted.get(column.at(*row as usize) as usize).copied().unwrap_or(false));
        Ok(())
    }

    fn keep_equal(&self, rows: &mut Vec<u32>, field: TextField, wanted: Option<&str>) -> Result<(), CorruptLog> {
        match wanted {
            Some(wanted) => self.keep_texts(rows, field, |text| text == wanted),
            None => Ok(()),
        }
    }

    /// Looks at each text of the column once.
    fn keep_texts(&self, rows: &mut Vec<u32>, field: TextField, wanted: impl Fn(&str) -> bool) -> Result<(), CorruptLog> {
        let column = self.text_column(field)?;
        let mut known: Vec<Option<bool>> = vec![None; self.text_count()];
        rows.retain(|row| {
            let id = column.at(*row as usize);
            let slot = &mut known[id as usize];
            *slot.get_or_insert_with(|| wanted(self.text(id)))
        });
        Ok(())
    }

    fn keep_numbers(&self, rows: &mut Vec<u32>, query: &LogQuery) -> Result<(), CorruptLog> {
        if let Some((from, to)) = query.code {
            let column = self.number_column(NumberField::ResponseCode)?;
            // Of an access log only: other lines have no code at all.
            let durations = self.number_column(NumberField::DurationUs)?;
            rows.retain(|row| match column.at(*row as usize) {
                0 => from == 0 && durations.at(*row as usize) > 0,
                code => (from..=to).contains(&(code - 1)),
            });
        }
        if let Some(severity) = query.severity.filter(|severity| *severity > 0) {
            let column = self.number_column(NumberField::Severity)?;
            rows.retain(|row| column.at(*row as usize) > u64::from(severity));
        }
        Ok(())
    }

    fn keep_containing(&self, rows: &mut Vec<u32>, text: &str) -> Result<(), CorruptLog> {
        let needle = text.to_ascii_lowercase();
        let contains = |text: &str| text.len() >= needle.len() && text.to_ascii_lowercase().contains(&needle);
        let hits: Vec<bool> = (0..self.text_count()).map(|id| contains(self.text(id as u32))).collect();
        let hit = |id: u32| hits.get(id as usize).copied().unwrap_or(false);
        let cells_hit =
            |cells: &[(u32, Cell)]| cells.iter().any(|(_, cell)| matches!(cell, Cell::Text(id) | Cell::Json(id) if hit(*id)));
        let mut found = vec![false; self.rows()];
        let mut mark = |column: &Column<u32>| {
            rows.iter().for_each(|row| found[*row as usize] |= hit(column.at(*row as usize)));
        };
        for field in TextField::ALL.into_iter().filter(|field| !field.is_id()) {
            mark(&self.text_column(field)?);
        }
        let sources: Vec<bool> = self.resources.iter().map(|(names, cells)| hit(names[0]) || cells_hit(cells)).collect();
        let resources = self.resource_column()?;
        let attributes = self.attribute_cells()?;
        // A UUID's text is only made where the words could be part of one.
        let could_be_id = needle.len() <= 36 && needle.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let ids = [self.id_column(TextField::RequestId)?, self.id_column(TextField::StreamId)?];
        let id_hit = |id: Id| match id {
            Id::Text(id) => hit(id),
            Id::Raw(_) => could_be_id && self.id_text(id).contains(&needle),
            Id::None => false,
        };
        rows.retain(|row| {
            let row = *row as usize;
            found[row]
                || sources.get(resources.at(row) as usize).copied().unwrap_or(false)
                || attributes.get(row).is_some_and(|cells| cells_hit(cells))
                || ids.iter().any(|column| id_hit(column.at(row)))
        });
        Ok(())
    }
}
