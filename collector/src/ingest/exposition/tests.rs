//! The text format, by example and against another reader of it.

use proptest::prelude::*;

use super::*;

fn all(text: &str) -> Vec<Result<Sample<'_>, BadLine>> {
    samples(text, Format::Text).collect()
}

fn plain<'a>(series: &'a str, name: &'a str, labels: &'a str, value: f64) -> Sample<'a> {
    Sample { series, name, labels, value, t_ms: None, exemplar: None }
}

fn pairs(block: &str) -> Vec<(String, String)> {
    labels(block).map(|pair| pair.map(|(name, value)| (name.to_owned(), value.into_owned())).unwrap()).collect()
}

#[test]
fn reads_what_envoy_writes() {
    let text = "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n\nistio_requests_total{reporter=\"source\",\
                response_code=\"200\"} 17\nplain 3 1795416100321\nx_sum{} 13.527619047619047876196418656036\n";
    let requests = "istio_requests_total{reporter=\"source\",response_code=\"200\"}";
    let expected = [
        plain("envoy_server_live{}", "envoy_server_live", "", 1.0),
        plain(requests, "istio_requests_total", "reporter=\"source\",response_code=\"200\"", 17.0),
        Sample { t_ms: Some(1_795_416_100_321), ..plain("plain", "plain", "", 3.0) },
        plain("x_sum{}", "x_sum", "", 13.527_619_047_619_047),
    ];
    assert_eq!(all(text), expected.map(Ok));
}

#[test]
fn braces_and_quotes_inside_values_belong_to_them() {
    let text = r#"a{path="/{id}",say="\"hi\" \\ \n \x",empty=""} +Inf"#;
    let sample = all(text)[0].unwrap();
    assert_eq!(sample.value, f64::INFINITY);
    let expected = [("path", "/{id}"), ("say", "\"hi\" \\ \n \\x"), ("empty", "")];
    assert_eq!(pairs(sample.labels), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn bad_lines_are_told_and_the_rest_is_read() {
    for bad in ["name", "name{a=\"b\" 1", "name{} one", "1name 1", "{} 1", "n 1 2 3", "n 1 x", "n infinity", "n{} "] {
        assert_eq!(all(&format!("{bad}\ngood 1"))[0], Err(BadLine), "{bad}");
        assert_eq!(all(&format!("{bad}\ngood 1")).len(), 2, "{bad}");
    }
    assert!(labels("a=b").any(|pair| pair.is_err()));
    assert!(labels("a=\"b\"c=\"d\"").any(|pair| pair.is_err()));
}

#[test]
fn reads_openmetrics() {
    let text = "# HELP a_seconds What \\n takes.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# any word\n\
                a_seconds_bucket{le=\"1.0\"} 4 1520879607.789 # {trace_id=\"a}b\"} 0.67 1520879606.5\n\
                a_seconds_count 4 # {} 1\na_seconds_created 1520872607.123\n# EOF\nafter 1\n";
    let metas: Vec<_> = lines(text).filter_map(|line| if let Line::Meta(meta) = line { Some(meta) } else { None }).collect();
    let name = "a_seconds";
    assert_eq!(metas, [Meta::Help(name, "What \\n takes."), Meta::Type(name, "histogram"), Meta::Unit(name, "seconds")]);
    let found: Vec<_> = samples(text, Format::OpenMetrics).map(Result::unwrap).collect();
    let exemplar = Exemplar { labels: "trace_id=\"a}b\"", value: 0.67, t_ms: Some(1_520_879_606_500) };
    let bucket = plain("a_seconds_bucket{le=\"1.0\"}", "a_seconds_bucket", "le=\"1.0\"", 4.0);
    let count = plain("a_seconds_count", "a_seconds_count", "", 4.0);
    assert_eq!(
        found,
        [
            Sample { t_ms: Some(1_520_879_607_789), exemplar: Some(exemplar), ..bucket },
            Sample { exemplar: Some(Exemplar { labels: "", value: 1.0, t_ms: None }), ..count },
            plain("a_seconds_created", "a_seconds_created", "", 1_520_872_607.123),
        ]
    );
    assert!(is_whole("a 1\n# EOF", Format::OpenMetrics) && is_whole("a 1\n# EOF\n", Format::OpenMetrics));
    assert!(!is_whole("a 1\n", Format::OpenMetrics) && is_whole("a 1\n", Format::Text));
    for bad in ["n 1 # 1", "n 1 # {a=\"b\"}", "n 1 # {} 1 2 3", "n 1 1e300", "n 1 x"] {
        assert_eq!(sample(bad, Format::OpenMetrics), Err(BadLine), "{bad}");
    }
    // The text format knows no exemplars.
    assert_eq!(sample("n 1 # {} 1", Format::Text), Err(BadLine));
}

#[test]
fn the_content_type_names_the_format() {
    assert_eq!(Format::of("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics);
    assert_eq!(Format::of("text/plain; version=0.0.4"), Format::Text);
    assert_eq!(Format::of(""), Format::Text);
}

#[test]
fn le_is_taken_out_wherever_it_stands() {
    assert_eq!(split_le("a=\"b\",le=\"0.5\""), Some(("a=\"b\"".into(), 0.5)));
    assert_eq!(split_le("le=\"+Inf\""), Some(("".into(), f64::INFINITY)));
    assert_eq!(split_le("le=\"5\",a=\"b\\\"\""), Some(("a=\"b\\\"\"".into(), 5.0)));
    assert_eq!(split_le("role=\"5\""), None);
    assert_eq!(split_le("a=\"b\""), None);
}

proptest! {
    #[test]
    fn agrees_with_another_reader(
        samples_in in prop::collection::vec(
            ("[a-z_:][a-z0-9_]{0,8}", prop::collection::vec(("[a-z_][a-z0-9_]{0,5}", "[ -~]{0,8}"), 0..4), any::<u32>()), 0..6)
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (number, (name, pairs, value)) in samples_in.iter().enumerate() {
            let block: Vec<String> = pairs
                .iter()
                .enumerate()
                .map(|(n, (label, text))| format!("{label}{n}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            text.push_str(&format!("# TYPE {name}{number} counter\n{name}{number}{{{}}} {value}\n", block.join(",")));
            let labels: Vec<_> = pairs.iter().enumerate().map(|(n, (l, v))| (format!("{l}{n}"), v.clone())).collect();
            expected.push((format!("{name}{number}"), labels, f64::from(*value)));
        }
        let mine: Vec<_> = all(&text)
            .into_iter()
            .map(|sample| sample.unwrap())
            .map(|sample| (sample.name.to_owned(), pairs(sample.labels), sample.value))
            .collect();
        prop_assert_eq!(&mine, &expected);
        // The other reader cuts values at commas and braces and knows neither colons nor Envoy's empty braces, so it only
        // judges texts without them.
        let plain = |(name, labels, _): &&(String, Vec<(String, String)>, f64)| {
            !name.contains(':') && !labels.is_empty() && labels.iter().all(|(_, value)| !value.contains([',', '{', '}', '"', '\\', '=', '#', ' ']))
        };
        let plain: Vec<_> = expected.iter().filter(plain).collect();
        if plain.len() == expected.len() {
            let lines = text.lines().map(|line| Ok(line.to_owned()));
            let theirs = prometheus_parse::Scrape::parse(lines).unwrap();
            prop_assert_eq!(theirs.samples.len(), plain.len());
            for (theirs, (name, labels, value)) in theirs.samples.iter().zip(plain) {
                prop_assert_eq!(&theirs.metric, name);
                prop_assert!(matches!(theirs.value, prometheus_parse::Value::Counter(v) if v == *value));
                for (label, text) in labels {
                    prop_assert_eq!(theirs.labels.get(label), Some(text.as_str()));
                }
            }
        }
    }

    #[test]
    fn never_panics(text in "[ -~\\n]{0,200}") {
        for sample in samples(&text, Format::OpenMetrics).flatten() {
            let _ = split_le(sample.labels);
            labels(sample.labels).for_each(drop);
        }
    }
}
