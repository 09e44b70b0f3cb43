//! A page that is read with what is remembered of the last one says the same as one that is read for the first time.

use proptest::prelude::*;

use super::super::labels::LabelSet;
use super::super::relabel::{RelabelConfig, RelabelRule, RelabelRules};
use super::super::target::{ScrapeJob, ScrapeLimits};
use super::*;
use crate::store::sample::index::SeriesIndex;
use crate::store::sample::is_stale;

fn job() -> ScrapeJob {
    ScrapeJob {
        name: "pods".into(),
        honor_labels: false,
        honor_timestamps: true,
        limits: ScrapeLimits::default(),
        metric_relabel: RelabelRules::default(),
        client: super::super::client::HttpClient::plain(),
    }
}

fn naming(job: ScrapeJob) -> Naming {
    let labels: LabelSet = [("job", "pods"), ("instance", "h:1")].into_iter().collect();
    Naming { index: Arc::new(SeriesIndex::new(0, 1000)), group: 1, labels: Arc::new(labels), job: Arc::new(job) }
}

const ROOM: Room<'static> = Room { is_known: &|_| false, new_edges: usize::MAX };
const T: i64 = 1_795_420_800_000;

fn read(reader: &mut PageReader, naming: &Naming, text: &str) -> Page {
    let page = reader.read(text, Format::Text, T, naming, ROOM).unwrap();
    assert_eq!(page.received, page.kept + page.refused.values().sum::<u64>());
    reader.stored();
    page
}

/// Labels without those of the target, and the value.
fn shown(page: &Page, naming: &Naming) -> Vec<String> {
    let values = page.values.iter().map(|(id, value)| (naming.index.get(*id).unwrap(), *value));
    let timed = page.timed.iter().map(|(series, _, value)| (series.clone(), *value));
    let text = |(series, value): (Arc<Series>, f64)| {
        let labels = naming.index.labels(&series);
        let own = labels.iter().filter(|(_, value)| &**value != "pods" && &**value != "h:1");
        let value = if is_stale(value) { "stale".to_owned() } else { value.to_string() };
        own.map(|(name, value)| format!("{name}={value} ")).collect::<String>() + &value
    };
    let mut shown: Vec<String> = values.chain(timed).map(text).collect();
    shown.sort();
    shown
}

#[test]
fn series_come_and_go() {
    let (mut reader, naming) = (PageReader::default(), naming(job()));
    let page = read(&mut reader, &naming, "a 1\nb{x=\"1\"} 2\nb{x=\"2\"} 3\n");
    assert_eq!((page.added, page.series_changed), (3, true));
    let page = read(&mut reader, &naming, "a 2\nb{x=\"1\"} 2\nb{x=\"2\"} 4\n");
    assert_eq!((page.added, page.series_changed), (0, false));
    assert_eq!(shown(&page, &naming), ["__name__=a 2", "__name__=b x=1 2", "__name__=b x=2 4"]);
    // One is gone, one is new, and the order is another one.
    let page = read(&mut reader, &naming, "b{x=\"2\"} 5\nb{x=\"3\"} 1\na 3\n");
    assert_eq!((page.added, page.series_changed, page.kept), (1, true, 3));
    assert_eq!(shown(&page, &naming), ["__name__=a 3", "__name__=b x=1 stale", "__name__=b x=2 5", "__name__=b x=3 1"]);
    let page = read(&mut reader, &naming, "b{x=\"2\"} 6\nb{x=\"3\"} 1\na 3\n");
    assert_eq!((page.added, page.values.len()), (0, 3));
    assert_eq!(reader.end_all().len(), 3);
    reader.stored();
    assert_eq!(read(&mut reader, &naming, "a 1\n").added, 1);
    assert_eq!(naming.index.len(), 4);
}

#[test]
fn ends_are_told_until_they_are_stored() {
    let (mut reader, naming) = (PageReader::default(), naming(job()));
    let mut read = |text: &str| reader.read(text, Format::Text, T, &naming, ROOM).unwrap();
    // Never stored: has no end.
    read("a 1\nb 1\n");
    assert_eq!(shown(&read("b 2\n"), &naming), ["__name__=b 2"]);
    reader.stored();
    let mut read = |text: &str| reader.read(text, Format::Text, T, &naming, ROOM).unwrap();
    read("c 1\n");
    assert_eq!(shown(&read("c 2\n"), &naming), ["__name__=b stale", "__name__=c 2"]);
    assert_eq!(shown(&read("c 3\nb 3\n"), &naming), ["__name__=b 3", "__name__=c 3"]);
}

#[test]
fn a_line_is_not_taken_for_one_that_followed_another() {
    let (mut reader, naming) = (PageReader::default(), naming(job()));
    read(&mut reader, &naming, "aa{x=\"1\"} 1\nbb{x=\"2\"} 2\n");
    read(&mut reader, &naming, "bb{x=\"1\"} 3\nbb{x=\"2\"} 4\naa{x=\"1\"} 5\n");
    // Shares with the line before it what `bb{x="2"}` shared with the one before that.
    let page = read(&mut reader, &naming, "aa{x=\"1\"} 6\naa{x=\"2\"} 7\n");
    let expected = ["__name__=aa x=1 6", "__name__=aa x=2 7", "__name__=bb x=1 stale", "__name__=bb x=2 stale"];
    assert_eq!(shown(&page, &naming), expected);
}

#[test]
fn of_two_texts_of_one_series_and_time_one_is_kept() {
    let rule = RelabelConfig { action: Some("labeldrop".to_owned()), regex: Some("id".to_owned()), ..RelabelConfig::default() };
    let rules = RelabelRules::new(vec![RelabelRule::new(rule).unwrap()]);
    let naming = naming(ScrapeJob { metric_relabel: rules, ..job() });
    let text = format!("a{{id=\"1\"}} 1 {}\na{{id=\"2\"}} 2 {}\na{{id=\"3\"}} 3 {}\n", T - 5, T - 5, T - 9);
    let page = read(&mut PageReader::default(), &naming, &text);
    assert_eq!(page.timed.iter().map(|(_, t_ms, value)| (*t_ms, *value)).collect::<Vec<_>>(), [(T - 9, 3.0), (T - 5, 1.0)]);
    assert_eq!(page.refused, BTreeMap::from([(SampleRefusal::Duplicate, 1)]));
}

#[test]
fn labels_of_sample_and_target_meet() {
    let text = "a{job=\"own\",exported_job=\"x\",instance=\"\"} 1\n";
    let plain = naming(job());
    let page = read(&mut PageReader::default(), &plain, text);
    assert_eq!(shown(&page, &plain), ["__name__=a exported_exported_job=own exported_job=x 1"]);
    let honest = naming(ScrapeJob { honor_labels: true, ..job() });
    let page = read(&mut PageReader::default(), &honest, text);
    assert_eq!(shown(&page, &honest), ["__name__=a exported_job=x job=own 1"]);
    let rule = RelabelConfig {
        action: Some("drop".to_owned()),
        source_labels: Some(vec!["__name__".to_owned()]),
        regex: Some("b.*".to_owned()),
        ..RelabelConfig::default()
    };
    let rules = RelabelRules::new(vec![RelabelRule::new(rule).unwrap()]);
    let picky = naming(ScrapeJob { metric_relabel: rules, ..job() });
    let mut reader = PageReader::default();
    for _ in 0..2 {
        let page = read(&mut reader, &picky, "a 1\nbb 2\nb 3\n");
        assert_eq!((shown(&page, &picky), page.scraped()), (vec!["__name__=a 1".to_owned()], 3));
        assert_eq!(page.refused, BTreeMap::from([(SampleRefusal::Dropped, 2)]));
    }
}

#[test]
fn what_cannot_be_taken_is_counted() {
    let (mut reader, naming) = (PageReader::default(), naming(job()));
    let long = "x".repeat(17_000);
    let text = format!(
        "a 1\na 2\na{{}} 3\nb{{x=\"1\",y=\"2\"}} 4\nb{{y=\"2\",x=\"1\"}} 5\nc{{x=\"1\",x=\"2\"}} 6\nd{{x=\"{long}\"}} 7\nbad line here\n\
         e 1 {}\ne2 1 {}\nf 8 {}\n",
        T + 3_600_000,
        T - 90_000_000,
        T - 5
    );
    for round in 0..2 {
        let page = read(&mut reader, &naming, &text);
        let late = if round == 0 { 0 } else { 1 };
        let expected = [
            (SampleRefusal::BadLine, 2),
            (SampleRefusal::LabelLimit, 1),
            (SampleRefusal::Duplicate, 3 + late),
            (SampleRefusal::BadTime, 2),
        ];
        assert_eq!(page.refused, BTreeMap::from(expected), "round {round}");
        assert_eq!(page.values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1.0, 4.0]);
        let timed: Vec<_> = page.timed.iter().map(|(_, t_ms, value)| (*t_ms, *value)).collect();
        assert_eq!(timed, if round == 0 { vec![(T - 5, 8.0)] } else { vec![] });
    }
    // Series that tell their times get no mark.
    assert_eq!(read(&mut reader, &naming, "a 1\nb{x=\"1\",y=\"2\"} 4\n").values.len(), 2);
}

#[test]
fn limits_of_the_job_refuse_the_page() {
    let refused = |limits: ScrapeLimits, text: &str| {
        let naming = naming(ScrapeJob { limits, ..job() });
        PageReader::default().read(text, Format::Text, T, &naming, ROOM).unwrap_err().to_string()
    };
    let limits = ScrapeLimits::default();
    assert_eq!(refused(ScrapeLimits { samples: Some(1), ..limits }, "a 1\nb 1\n"), "there are more than 1 samples");
    let three = ScrapeLimits { labels: Some(3), ..limits };
    assert_eq!(refused(three, "a{x=\"1\"} 1\n"), "a sample of a has more than 3 labels");
    let names = ScrapeLimits { label_name_bytes: Some(8), ..limits };
    assert_eq!(refused(names, "a{x23456789=\"1\"} 1\n"), "a sample of a has a label with a name of more than 8 bytes");
    let values = ScrapeLimits { label_value_bytes: Some(4), ..limits };
    assert_eq!(refused(values, "a{x=\"12345\"} 1\n"), "a sample of a has a label with a value of more than 4 bytes");
    let naming = naming(job());
    let cut = PageReader::default().read("a 1\n", Format::OpenMetrics, T, &naming, ROOM).unwrap_err();
    assert_eq!(cut, PageError::CutOff);
}

#[test]
fn a_full_dictionary_is_asked_again() {
    let mut naming = naming(job());
    naming.index = Arc::new(SeriesIndex::new(0, 2));
    naming.index.resolve(9, &[("__name__", "other")]).unwrap();
    let mut reader = PageReader::default();
    let page = read(&mut reader, &naming, "a 1\nb 1\n");
    assert_eq!(page.refused, BTreeMap::from([(SampleRefusal::SeriesLimit, 1)]));
    assert_eq!(naming.index.forget(0), 1);
    assert_eq!(read(&mut reader, &naming, "a 1\nb 1\n").kept, 2);
}

#[test]
fn edges_are_counted_as_by_a_fresh_reader() {
    let (mut reader, naming) = (PageReader::default(), naming(job()));
    for n in [1u64, 2, 5] {
        let block = "reporter=\"source\",destination_workload=\"cart\"";
        let text = format!(
            "envoy_server_uptime{{}} {n}\nistio_requests_total{{{block}}} {n}\n\
             istio_request_duration_milliseconds_bucket{{{block},le=\"1\"}} {n}\n\
             istio_request_duration_milliseconds_bucket{{{block},le=\"+Inf\"}} {}\n",
            2 * n
        );
        let page = read(&mut reader, &naming, &text);
        let (_, totals) = page.observation.series.values().next().unwrap();
        assert_eq!((totals.requests, totals.duration.counts.clone()), (n, vec![n, n]));
        assert_eq!((page.observation.uptime_s, page.observation.received), (Some(n as f64), 3));
    }
}

fn line() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just(String::new()),
        "[ab]".prop_map(|x| format!("{{x=\"{x}\"}}")),
        "[ab]".prop_map(|x| format!("{{x=\"{x}\",y=\"}}\"}}"))
    ];
    let name = prop_oneof![Just("a"), Just("ab"), Just("istio_requests_total"), Just("istio_tcp_sent_bytes_total")];
    (name, label, 0u32..100).prop_map(|(name, label, value)| format!("{name}{label} {value}\n"))
}

proptest! {
    #[test]
    fn what_is_remembered_changes_nothing(pages in prop::collection::vec(prop::collection::vec(line(), 0..12), 1..6)) {
        let (mut reader, naming) = (PageReader::default(), naming(job()));
        for lines in pages {
            let text: String = lines.concat();
            let (mine, fresh) = (read(&mut reader, &naming, &text), read(&mut PageReader::default(), &naming, &text));
            let without_ends = |page: &Page| -> Vec<String> {
                shown(page, &naming).into_iter().filter(|line| !line.ends_with("stale")).collect()
            };
            prop_assert_eq!(without_ends(&mine), without_ends(&fresh));
            prop_assert_eq!(&mine.refused, &fresh.refused);
            let edges = |page: &Page| {
                let mut all: Vec<_> = page.observation.series.iter().map(|(labels, (_, totals))| (labels.clone(), totals.clone())).collect();
                all.sort_by_key(|(labels, _)| format!("{labels:?}"));
                all
            };
            prop_assert_eq!(edges(&mine), edges(&fresh));
        }
    }
}
