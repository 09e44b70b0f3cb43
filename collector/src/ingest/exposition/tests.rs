//! The text format, by example and against another reader of it.

use proptest::prelude::*;

use super::*;

fn all(text: &str) -> Vec<Result<Sample<'_>, BadLine>> {
    samples(text).collect()
}

fn pairs(block: &str) -> Vec<(String, String)> {
    labels(block).map(|pair| pair.map(|(name, value)| (name.to_owned(), value.into_owned())).unwrap()).collect()
}

#[test]
fn reads_what_envoy_writes() {
    let text = "# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n\nistio_requests_total{reporter=\"source\",\
                response_code=\"200\"} 17\nplain 3 1795416100321\nx_sum{} 13.527619047619047876196418656036\n";
    let expected = [
        Sample { name: "envoy_server_live", labels: "", value: 1.0 },
        Sample { name: "istio_requests_total", labels: "reporter=\"source\",response_code=\"200\"", value: 17.0 },
        Sample { name: "plain", labels: "", value: 3.0 },
        Sample { name: "x_sum", labels: "", value: 13.527_619_047_619_047 },
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
        for sample in samples(&text).flatten() {
            let _ = split_le(sample.labels);
            labels(sample.labels).for_each(drop);
        }
    }
}
