//! The contract of `Store` for samples of metrics, the same tests on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sidelight_collector::store::sample::compact::{SampleCompact, columns, row};
use sidelight_collector::store::sample::matcher::parse_selector;
use sidelight_collector::store::sample::{is_stale, stale};
use sidelight_collector::store::{
    BlockWrite, Compact, EncodedBlock, Family, Merged, Order, Retention, Sample, SampleQuery, ScrapeBatch, Store, StoreError,
    WriteBatch,
};
use support::place::Place;

/// The start of a slice of samples.
const T: i64 = 1_795_420_800_000;

on_both!(
    samples_are_selected,
    samples_survive_a_restart,
    of_two_samples_of_one_time_the_first_counts,
    what_is_over_is_forgotten,
    a_refused_scrape_leaves_no_samples,
    a_damaged_block_is_skipped,
    merged_samples_are_the_same_samples,
);

struct Put<'a> {
    store: &'a Arc<dyn Store>,
    group: i64,
}

impl Put<'_> {
    /// Writes one sample of each series, as a scrape does.
    async fn row(&self, t_ms: i64, samples: &[(&[(&str, &str)], f64)]) {
        let index = self.store.series_index().await.unwrap();
        let series: Vec<_> = samples.iter().map(|(labels, _)| index.resolve(self.group, labels).unwrap()).collect();
        let rows = index.rows(series.iter(), t_ms / 1000 + 1);
        let mut values: Vec<(i64, f64)> = series.iter().zip(samples).map(|(series, (_, value))| (series.id, *value)).collect();
        values.sort_by_key(|(id, _)| *id);
        self.block(row(t_ms, self.group, &values), vec![rows]).await;
    }

    async fn block(&self, block: EncodedBlock, series: Vec<sidelight_collector::store::sample::index::SeriesRows>) {
        let items = u64::from(block.items);
        let blocks = vec![BlockWrite { door: "test", signal: "samples", block }];
        let report = self.store.write(&WriteBatch { blocks, series, ..WriteBatch::default() }).await.unwrap();
        assert_eq!(report.counts.total("test", "samples", "stored"), items);
    }
}

async fn select(store: &Arc<dyn Store>, selector: &str, from_ms: i64, to_ms: i64) -> Vec<(String, Vec<(i64, f64)>)> {
    let query = SampleQuery::new(parse_selector(selector).unwrap(), from_ms, to_ms);
    let text = |labels: &[(Arc<str>, Arc<str>)]| labels.iter().map(|(_, v)| &**v).collect::<Vec<_>>().join(" ");
    let samples = |samples: &[Sample]| samples.iter().map(|sample| ((sample.t_ms - T) / 1000, sample.value)).collect();
    let found = store.select(&query).await.unwrap();
    found.iter().map(|series| (text(&series.labels), samples(&series.samples))).collect()
}

const UP_A: &[(&str, &str)] = &[("__name__", "up"), ("instance", "a:1")];
const UP_B: &[(&str, &str)] = &[("__name__", "up"), ("instance", "b:1"), ("zone", "z")];
const LOAD: &[(&str, &str)] = &[("__name__", "load"), ("instance", "a:1")];

async fn some(store: &Arc<dyn Store>) {
    let (one, two) = (Put { store, group: 1 }, Put { store, group: 2 });
    for n in 0..4 {
        one.row(T + n * 15_000, &[(UP_A, 1.0), (LOAD, n as f64 / 4.0)]).await;
        two.row(T + n * 15_000 + 1000, &[(UP_B, 0.0)]).await;
    }
    one.row(T + 7_200_000, &[(UP_A, 1.0)]).await;
}

async fn samples_are_selected(place: &Place) {
    let store = place.open().await;
    assert!(select(&store, "up", 0, i64::MAX).await.is_empty());
    some(&store).await;
    let all = select(&store, "{instance=~\".+\"}", 0, i64::MAX).await;
    let expected: [(&str, &[(i64, f64)]); 3] = [
        ("load a:1", &[(0, 0.0), (15, 0.25), (30, 0.5), (45, 0.75)]),
        ("up a:1", &[(0, 1.0), (15, 1.0), (30, 1.0), (45, 1.0), (7200, 1.0)]),
        ("up b:1 z", &[(1, 0.0), (16, 0.0), (31, 0.0), (46, 0.0)]),
    ];
    assert_eq!(all, expected.map(|(labels, samples)| (labels.to_owned(), samples.to_vec())));
    // Both ends belong to it.
    let part = select(&store, "up{zone=\"\"}", T + 15_000, T + 30_000).await;
    assert_eq!(part, [("up a:1".to_owned(), vec![(15, 1.0), (30, 1.0)])]);
    assert!(select(&store, "up{zone=\"y\"}", 0, i64::MAX).await.is_empty());
    assert!(select(&store, "up", T + 100_000, T + 200_000).await.is_empty());
    let query = SampleQuery { samples_max: 8, ..SampleQuery::new(parse_selector("up").unwrap(), 0, i64::MAX) };
    assert!(matches!(store.select(&query).await, Err(StoreError::TooManySamples(8))));

    assert_eq!(store.label_names(&[], 0).await.unwrap(), ["__name__", "instance", "zone"]);
    assert_eq!(store.label_values("instance", &[], 0).await.unwrap(), ["a:1", "b:1"]);
    let up_b = parse_selector("{zone=\"z\"}").unwrap();
    assert_eq!(store.label_values("instance", &up_b, 0).await.unwrap(), ["b:1"]);
    assert_eq!(store.label_names(&parse_selector("load").unwrap(), 0).await.unwrap(), ["__name__", "instance"]);
    assert_eq!(store.metric_series(&parse_selector("up").unwrap(), T).await.unwrap().len(), 2);
    assert!(store.metric_series(&parse_selector("up").unwrap(), T + 30 * 86_400_000).await.unwrap().is_empty());
}

async fn samples_survive_a_restart(place: &Place) {
    some(&place.open().await).await;
    let store = place.open().await;
    assert_eq!(select(&store, "load", T, T + 1).await, [("load a:1".to_owned(), vec![(0, 0.0)])]);
    // The same series goes on, and a new one gets an id of its own.
    let put = Put { store: &store, group: 1 };
    let new: &[(&str, &str)] = &[("__name__", "new"), ("instance", "a:1")];
    put.row(T + 60_000, &[(LOAD, stale()), (new, 5.0)]).await;
    let ended = store.select(&SampleQuery::new(parse_selector("load").unwrap(), T + 60_000, T + 60_000)).await.unwrap();
    assert!(is_stale(ended[0].samples[0].value));
    assert_eq!(select(&store, "new", 0, i64::MAX).await, [("new a:1".to_owned(), vec![(60, 5.0)])]);
    assert_eq!(store.series_index().await.unwrap().len(), 4);
}

async fn of_two_samples_of_one_time_the_first_counts(place: &Place) {
    let store = place.open().await;
    let put = Put { store: &store, group: 1 };
    put.row(T + 30_000, &[(UP_A, 3.0)]).await;
    put.row(T + 15_000, &[(UP_A, 2.0)]).await;
    put.row(T + 30_000, &[(UP_A, 9.0)]).await;
    // The same series from another group, as after a move.
    Put { store: &store, group: 7 }.row(T + 20_000, &[(UP_A, 2.5)]).await;
    assert_eq!(select(&store, "up", 0, i64::MAX).await, [("up a:1".to_owned(), vec![(15, 2.0), (20, 2.5), (30, 3.0)])]);
    let series = store.series_index().await.unwrap().resolve(1, UP_A).unwrap();
    let late = [(T + 10_000, 1.0), (T + 40_000, 4.0)].map(|(t_ms, value)| Sample { t_ms, value });
    put.block(columns(T / 1000, 1, [(series.id, late.to_vec())].into_iter()), vec![]).await;
    let times: Vec<i64> = select(&store, "up", 0, i64::MAX).await[0].1.iter().map(|(t, _)| *t).collect();
    assert_eq!(times, [10, 15, 20, 30, 40]);
}

async fn what_is_over_is_forgotten(place: &Place) {
    let store = place.open().await;
    some(&store).await;
    let retention = Retention { samples: Duration::from_secs(3600), ..Retention::default() };
    // The first slice is over, but its series are kept a day longer.
    let dropped = store.drop_old(&retention, T + 3 * 3_600_000).await.unwrap();
    assert!(dropped.contains(&Family::SampleBlock.slice_at(T / 1000)));
    assert_eq!(select(&store, "up", 0, i64::MAX).await, [("up a:1".to_owned(), vec![(7200, 1.0)])]);
    assert_eq!(store.series_index().await.unwrap().len(), 3);
    store.drop_old(&retention, T + 100 * 3_600_000).await.unwrap();
    assert!(select(&store, "up", 0, i64::MAX).await.is_empty());
    assert!(store.series_index().await.unwrap().is_empty());
    assert!(place.open().await.series_index().await.unwrap().is_empty());
}

async fn a_refused_scrape_leaves_no_samples(place: &Place) {
    let store = place.open().await;
    let index = store.series_index().await.unwrap();
    let scrape = |t_ms: i64, value: f64| {
        let series = index.resolve(5, UP_A).unwrap();
        let mut scrape = ScrapeBatch { target: "t".into(), scraped_at_ms: t_ms, ..ScrapeBatch::default() };
        scrape.samples.series = index.rows([series.clone()].iter(), t_ms / 1000 + 1);
        scrape.samples.blocks = vec![row(t_ms, 5, &[(series.id, value)])];
        WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() }
    };
    assert_eq!(store.write(&scrape(T, 1.0)).await.unwrap().scrapes, [Some(1)]);
    // Another collector was first.
    assert_eq!(store.write(&scrape(T + 1000, 2.0)).await.unwrap().scrapes, [None]);
    assert_eq!(select(&store, "up", 0, i64::MAX).await, [("up a:1".to_owned(), vec![(0, 1.0)])]);
}

async fn a_damaged_block_is_skipped(place: &Place) {
    let store = place.open().await;
    some(&store).await;
    let damaged = EncodedBlock { data: vec![2, 1, 2, 3], ..row(T, 1, &[(1, 1.0)]) };
    Put { store: &store, group: 1 }.block(damaged, vec![]).await;
    assert_eq!(select(&store, "load", T, T + 15_000).await[0].1.len(), 2);
    assert_eq!(store.corrupt_blocks(), 1);
}

async fn merged_samples_are_the_same_samples(place: &Place) {
    let store = place.open().await;
    let put = Put { store: &store, group: 1 };
    for n in 0..100 {
        let end = if n == 99 { stale() } else { n as f64 / 4.0 };
        put.row(T + n * 15_000, &[(UP_A, 1.0), (LOAD, end)]).await;
    }
    // A second answer for a time that is there, one for a time in between, and a group of its own.
    put.row(T + 15_000, &[(UP_A, 7.0)]).await;
    put.row(T + 20_000, &[(UP_A, 2.0)]).await;
    Put { store: &store, group: 2 }.row(T, &[(UP_B, 0.0)]).await;
    Put { store: &store, group: 2 }.row(T + 15_000, &[(UP_B, 3.0)]).await;
    let all = async |store: &Arc<dyn Store>| {
        store.select(&SampleQuery::new(parse_selector("{instance!=\"\"}").unwrap(), 0, i64::MAX)).await.unwrap()
    };
    let before = all(&store).await;
    assert_eq!(before.iter().map(|series| series.samples.len()).collect::<Vec<_>>(), [100, 101, 2]);
    let heads = async || {
        let heads = store.blocks(Family::SampleBlock, 0..i64::MAX, Order::OldestFirst, 1_000).await.unwrap();
        let mut heads: Vec<(i64, u32)> = heads.iter().map(|head| (head.shard, head.items)).collect();
        heads.sort_unstable();
        heads
    };
    assert_eq!(heads().await.len(), 104);
    let how: Arc<dyn Compact> = Arc::new(SampleCompact::new(store.series_index().await.unwrap()));
    // While the slice is open the group with many rows is merged, and the other one at its end.
    assert_eq!(store.merge_blocks(&how, T + 3_600_000).await.unwrap(), Some(Merged { from: 102, into: 1 }));
    assert_eq!(store.merge_blocks(&how, T + 3_600_000).await.unwrap(), None);
    assert_eq!(heads().await, [(1, 201), (2, 1), (2, 1)]);
    assert_eq!(all(&store).await, before);
    put.row(T + 15_000, &[(UP_A, 8.0)]).await;
    put.row(T + 1_500_000, &[(UP_A, 4.0)]).await;
    let before = all(&store).await;
    assert_eq!(before[1].samples.len(), 102);
    while store.merge_blocks(&how, T + 8_000_000).await.unwrap().is_some() {}
    assert_eq!(heads().await, [(1, 202), (2, 2)]);
    // Without anything of it in memory as well, and with the mark at the end.
    let opened = place.open().await;
    for store in [&store, &opened] {
        assert_eq!(all(store).await, before);
    }
    assert!(is_stale(before[0].samples[99].value));
    assert_eq!(opened.corrupt_blocks(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_see_each_others_series() {
    let place = Place::postgres().await;
    let (one, two) = (place.open().await, place.open().await);
    some(&one).await;
    assert_eq!(select(&two, "up", T, T + 2000).await.len(), 2);
    // Each gives an id of its own to a series that both meet first.
    let new: &[(&str, &str)] = &[("__name__", "new"), ("instance", "c:1")];
    Put { store: &one, group: 1 }.row(T, &[(new, 1.0)]).await;
    Put { store: &two, group: 1 }.row(T + 15_000, &[(new, 2.0)]).await;
    for store in [&one, &two] {
        assert_eq!(select(store, "new", 0, i64::MAX).await, [("new c:1".to_owned(), vec![(0, 1.0), (15, 2.0)])]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_use_is_not_forgotten() {
    let place = Place::postgres().await;
    let (one, two) = (place.open().await, place.open().await);
    some(&one).await;
    assert_eq!(select(&two, "up", T, T + 2000).await.len(), 2);
    let later_s = 99 * 3600;
    Put { store: &one, group: 1 }.row(T + later_s * 1000, &[(UP_A, 2.0)]).await;
    // Only the first that looks finds slices to drop; both forget what went with them.
    let retention = Retention { samples: Duration::from_secs(3600), ..Retention::default() };
    for store in [&one, &two] {
        store.drop_old(&retention, T + 100 * 3_600_000).await.unwrap();
        assert_eq!(store.series_index().await.unwrap().len(), 1);
        assert_eq!(select(store, "{instance=~\".+\"}", 0, i64::MAX).await, [("up a:1".to_owned(), vec![(later_s, 2.0)])]);
    }
}
