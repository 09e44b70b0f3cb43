//! The dictionary finds what it was given, forgets what is over, and is small.

use super::super::matcher::{MatchOp, parse_selector};
use super::*;

fn add(index: &SeriesIndex, group: i64, labels: &[(&str, &str)]) -> Arc<Series> {
    index.resolve(group, labels).unwrap()
}

fn some() -> SeriesIndex {
    let index = SeriesIndex::new(1 << 32, 6);
    add(&index, 1, &[("__name__", "up"), ("instance", "a:1"), ("job", "x")]);
    add(&index, 1, &[("__name__", "up"), ("instance", "b:1"), ("job", "x")]);
    add(&index, 1, &[("__name__", "up"), ("job", "y")]);
    add(&index, 2, &[("__name__", "down"), ("instance", "a:1"), ("job", "y")]);
    index
}

fn found(index: &SeriesIndex, selector: &str) -> Vec<String> {
    chosen(index, &parse_selector(selector).unwrap())
}

fn chosen(index: &SeriesIndex, matchers: &[Matcher]) -> Vec<String> {
    let text = |series: &Arc<Series>| {
        let labels = index.labels(series);
        labels.iter().map(|(_, value)| &**value).collect::<Vec<_>>().join(" ")
    };
    let mut found: Vec<String> = index.select(matchers).iter().map(text).collect();
    found.sort_unstable();
    found
}

#[test]
fn the_same_labels_are_the_same_series() {
    let index = some();
    let again = add(&index, 1, &[("__name__", "up"), ("instance", "a:1"), ("job", "x")]);
    let other_group = add(&index, 2, &[("__name__", "up"), ("instance", "a:1"), ("job", "x")]);
    assert_eq!((index.len(), again.id == other_group.id), (5, false));
    assert!(Arc::ptr_eq(&index.get(again.id).unwrap(), &again));
    assert_eq!(index.names([again.id, 5].into_iter()), [Arc::from("up"), Arc::from("")]);
    add(&index, 3, &[("__name__", "last")]);
    assert_eq!(index.resolve(3, &[("__name__", "one too many")]).unwrap_err(), Full);
    assert!(index.resolve(3, &[("__name__", "last")]).is_ok());
}

#[test]
fn matchers_choose_series() {
    let index = some();
    assert_eq!(found(&index, "up"), ["up a:1 x", "up b:1 x", "up y"]);
    assert_eq!(found(&index, "up{instance=\"a:1\"}"), ["up a:1 x"]);
    assert_eq!(found(&index, "up{instance=\"\"}"), ["up y"]);
    assert_eq!(found(&index, "up{instance!=\"a:1\"}"), ["up b:1 x", "up y"]);
    assert_eq!(found(&index, "up{instance!=\"\"}"), ["up a:1 x", "up b:1 x"]);
    assert_eq!(found(&index, "{instance=~\"a.*|b\"}"), ["down a:1 y", "up a:1 x"]);
    assert_eq!(found(&index, "{job=\"y\",instance!~\".+\"}"), ["up y"]);
    assert_eq!(found(&index, "{nobody=\"y\"}"), [""; 0]);
    let all = Matcher::new("instance", MatchOp::Matches, ".*").unwrap();
    assert_eq!(chosen(&index, &[all]).len(), 4);
    assert_eq!(index.label_names(), ["__name__", "instance", "job"]);
    assert_eq!(index.label_values("instance"), ["a:1", "b:1"]);
}

#[test]
fn rows_are_written_once_a_day_and_read_again() {
    let index = some();
    let series = index.select(&[]);
    let rows = index.rows(series.iter(), 1000);
    assert_eq!((rows.kept_until_s, rows.series.len(), rows.pairs.len()), (87_400, 4, 6));
    // Not written: asked for again.
    assert_eq!(index.rows(series.iter(), 1000).series.len(), 4);
    index.committed(&rows);
    assert_eq!(index.rows(series.iter(), 87_400).series.len(), 0);
    assert_eq!(index.rows(series.iter(), 87_401).pairs.len(), 6);

    let other = SeriesIndex::new(2 << 32, 10);
    // The other one knows a label already, under an id of its own.
    add(&other, 9, &[("job", "x")]);
    let load = |index: &SeriesIndex| {
        let pair = |(id, name, value): &(i64, Arc<str>, Arc<str>)| StoredPair {
            id: *id,
            name: name.to_string(),
            value: value.to_string(),
            kept_until_s: 87_400,
        };
        let series = |(series, pairs): &(Arc<Series>, Vec<u8>)| StoredSeries {
            id: series.id,
            group: series.group,
            pairs: pairs.clone(),
            kept_until_s: 87_400,
        };
        index.load(rows.pairs.iter().map(pair).collect(), rows.series.iter().map(series).collect())
    };
    assert_eq!((load(&other), load(&other)), (0, 0));
    assert_eq!(found(&other, "{job=\"x\",__name__=\"up\"}"), ["up a:1 x", "up b:1 x"]);
    let known = add(&other, 1, &[("__name__", "up"), ("instance", "b:1"), ("job", "x")]);
    assert!(known.is_kept_until(87_400) && index.get(known.id).is_some());
    let damaged = StoredSeries { id: 7, group: 1, pairs: vec![1, 99], kept_until_s: 1 };
    assert_eq!(other.load(vec![], vec![damaged]), 1);
}

#[test]
fn what_is_over_is_forgotten() {
    let index = some();
    let kept = index.select(&parse_selector("down").unwrap());
    let rows = index.rows(kept.iter(), 1000);
    index.committed(&rows);
    drop((kept, rows));
    let used = add(&index, 1, &[("__name__", "up"), ("job", "y")]);
    assert_eq!(index.forget(1000), 2);
    assert_eq!(found(&index, "{job=~\".+\"}"), ["down a:1 y", "up y"]);
    assert_eq!(index.label_values("instance"), ["a:1"]);
    drop(used);
    assert_eq!(index.forget(87_399), 1);
    assert_eq!(index.forget(87_400), 1);
    assert!(index.is_empty() && index.label_names().is_empty());
    // Their places are taken again.
    let again = add(&index, 1, &[("__name__", "up"), ("instance", "c:1"), ("job", "x")]);
    assert_eq!((found(&index, "up"), again.id), (vec!["up c:1 x".to_owned()], (1 << 32) + 14));
}
