//! What the verbs of `sidelight db` print.

use sidelight_collector::store::admin::{CheckReport, Stats};

use crate::output::table;

pub fn findings(report: &CheckReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("{}: {}\n", finding.place, finding.what));
    }
    let found = report.findings.len();
    let sum = if found == 1 { "1 finding".to_owned() } else { format!("{found} findings") };
    text.push_str(&format!("{} rows of {} tables read", report.rows, report.tables));
    if report.blocks > 0 {
        text.push_str(&format!(", {} items of {} blocks decoded", report.items, report.blocks));
    }
    text.push_str(&format!(", {sum}\n"));
    text
}

pub fn families(stats: &Stats) -> String {
    let rows: Vec<Vec<String>> = stats
        .by_family()
        .into_iter()
        .map(|(family, tables, rows, items, bytes)| {
            vec![family.to_owned(), tables.to_string(), rows.to_string(), items.to_string(), size(bytes), per(bytes, items)]
        })
        .collect();
    let head = ["DATA", "TABLES", "ROWS", "ITEMS", "SIZE", "BYTES/ITEM"];
    format!("{}\n{}: {} in all\n", table(&head, &rows), stats.kind, size(stats.bytes))
}

pub fn tables(stats: &Stats) -> String {
    let rows: Vec<Vec<String>> = stats
        .tables
        .iter()
        .map(|table| {
            let items = table.items.unwrap_or(table.rows);
            vec![table.name.clone(), table.rows.to_string(), items.to_string(), size(table.bytes), per(table.bytes, items)]
        })
        .collect();
    table(&["TABLE", "ROWS", "ITEMS", "SIZE", "BYTES/ITEM"], &rows)
}

fn per(bytes: u64, items: u64) -> String {
    if items == 0 { "-".to_owned() } else { format!("{:.1}", bytes as f64 / items as f64) }
}

/// Bytes in the unit that suits them.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        assert_eq!([0, 1023, 1024, 1_572_864, 5 << 40].map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB"]);
        assert_eq!((per(10, 4), per(10, 0)), ("2.5".to_owned(), "-".to_owned()));
    }
}
