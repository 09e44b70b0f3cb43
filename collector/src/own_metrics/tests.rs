//! The page about our own metrics is complete, and says nothing that is not so.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::*;

const PAGE: &str = include_str!("../../../docs/telemetry.md");

/// Name, type and labels of each row of the table.
fn listed() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `sidelight_"));
    let code = Regex::new("`([a-z_]+)`").unwrap();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, _] = cells.as_slice() else { panic!("a row has four cells: {row}") };
        assert!(meaning.len() > 5, "{row}");
        // Behind a colon come values of the label.
        let labels = labels.split(", `").map(|label| label.split(':').next().unwrap().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty() && code.is_match(&format!("`{label}`")));
        (name.trim_matches('`').to_owned(), ((*kind).to_owned(), labels.map(str::to_owned).collect()))
    })
    .collect()
}

/// Names of everything that is registered, whether or not it has counted anything yet; without `_total`.
fn registered(metrics: &OwnMetrics) -> BTreeSet<String> {
    // The registry shows its descriptors in no other way.
    let shown = format!("{:?}", metrics.registry);
    let descriptor =
        Regex::new(r#"Descriptor \{ name: "([a-z0-9_]+)", help: "(?:[^"\\]|\\.)*", unit: (?:None|Some\((\w+)\)) \}"#).unwrap();
    let names = descriptor.captures_iter(&shown).map(|found| match found.get(2) {
        Some(unit) => format!("sidelight_{}_{}", &found[1], unit.as_str().to_lowercase()),
        None => format!("sidelight_{}", &found[1]),
    });
    names.collect()
}

#[test]
fn the_page_lists_exactly_what_is_registered() {
    let registered = registered(&OwnMetrics::new());
    let listed: BTreeSet<String> =
        listed().into_iter().map(|(name, (kind, _))| if kind == "counter" { total(&name) } else { name }).collect();
    assert!(registered.len() > 15, "{registered:?}");
    assert_eq!(registered.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "registered and not on the page");
    assert_eq!(listed.difference(&registered).collect::<Vec<_>>(), Vec::<&String>::new(), "on the page and not registered");
}

fn total(name: &str) -> String {
    let short = name.strip_suffix("_total");
    short.unwrap_or_else(|| panic!("the counter {name} ends in _total")).to_owned()
}

#[test]
fn types_and_labels_are_as_the_page_says() {
    let metrics = OwnMetrics::new();
    metrics.scraped("stored", Duration::from_millis(3));
    metrics.wrote(Duration::from_millis(3), true, 1);
    let mut counts = Counts::default();
    counts.add("zipkin", "spans", "stored", 1);
    metrics.counted(&counts);
    let listed = listed();
    let text = metrics.encode();
    let mut compared = 0;
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert_eq!(listed[&name].0, kind, "{name}");
            compared += 1;
        } else if let Some((name, labels)) = line.split_once('{') {
            let name = name.trim_end_matches("_bucket");
            let labels = labels.split("\",").filter_map(|label| label.trim_start_matches(',').split_once('='));
            for (label, _) in labels.filter(|(label, _)| *label != "le") {
                assert!(listed[name].1.contains(label), "the page does not know the label {label} of {name}");
            }
        }
    }
    assert!(compared > 10, "{text}");
}
