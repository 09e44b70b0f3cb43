//! What a configuration says, and what is wrong with it and where.

use super::super::discovery::Discovery;
use super::*;

fn jobs(text: &str) -> Vec<Job> {
    parse(text, Path::new("/etc/prometheus")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn mistakes(text: &str) -> Vec<String> {
    let found = parse(text, Path::new("/etc/prometheus")).expect_err("it is wrong");
    found.into_iter().map(|(line, text)| format!("{line}: {text}")).collect()
}

fn targets(job: &Job) -> Vec<String> {
    let groups = job.finders.iter().flat_map(|finder| match finder {
        Finder::Static(groups) => groups.clone(),
        _ => Vec::new(),
    });
    let groups: Vec<_> = groups.collect();
    let made = Discovery::of(&job.defaults, &groups).targets;
    made.iter().map(|target| format!("{} {}", target.url, serde_json::to_string(&*target.labels).unwrap())).collect()
}

#[test]
fn a_job_has_prometheus_defaults() {
    let jobs =
        jobs("scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [h, 'i:1']\n    labels: {env: prod, n: 1}\n");
    let job = &jobs[0].defaults;
    assert_eq!((job.interval.as_secs(), job.timeout.as_secs()), (60, 10));
    assert!(!job.job.honor_labels && job.job.honor_timestamps && job.job.limits == ScrapeLimits::default());
    assert_eq!(
        targets(&jobs[0]),
        [
            r#"http://h:80/metrics {"env":"prod","instance":"h:80","job":"a","n":"1"}"#,
            r#"http://i:1/metrics {"env":"prod","instance":"i:1","job":"a","n":"1"}"#
        ]
    );
}

#[test]
fn every_key_is_read() {
    let jobs = jobs(
        "global: {scrape_interval: 15s, scrape_timeout: 5s, evaluation_interval: 1m, external_labels: {a: b}}\n\
         rule_files: [x.yml]\n\
         scrape_configs:\n\
         - job_name: a\n  honor_labels: true\n  honor_timestamps: false\n  scheme: https\n  metrics_path: /m\n\
         \x20 params: {module: [x, y]}\n  sample_limit: 10\n  label_limit: 20\n  label_name_length_limit: 30\n\
         \x20 label_value_length_limit: 40\n  target_limit: 50\n  body_size_limit: 2MB\n\
         \x20 basic_auth: {username: u, password_file: secret}\n  follow_redirects: false\n  enable_http2: false\n\
         \x20 tls_config: {insecure_skip_verify: true, server_name: x}\n\
         \x20 file_sd_configs:\n  - files: ['t/*.json']\n    refresh_interval: 1m\n\
         \x20 http_sd_configs:\n  - url: http://x/sd\n    authorization: {credentials: abc}\n\
         \x20 metric_relabel_configs:\n  - {source_labels: [__name__], regex: go_.*, action: drop}\n\
         - job_name: b\n  scrape_interval: 3s\n",
    );
    let job = &jobs[0].defaults;
    assert_eq!((job.interval.as_secs(), job.timeout.as_secs()), (15, 5));
    assert_eq!((jobs[1].defaults.interval.as_secs(), jobs[1].defaults.timeout.as_secs()), (3, 3));
    let limits = ScrapeLimits {
        body_bytes: 2 * 1024 * 1024,
        samples: Some(10),
        labels: Some(20),
        label_name_bytes: Some(30),
        label_value_bytes: Some(40),
    };
    assert_eq!((job.job.limits, jobs[0].target_limit), (limits, Some(50)));
    assert!(job.job.honor_labels && !job.job.honor_timestamps);
    assert_eq!((job.scheme.as_str(), job.metrics_path.as_str()), ("https", "/m"));
    let shown = format!("{:?}", jobs[0].finders);
    assert!(shown.contains(r#"patterns: ["/etc/prometheus/t/*.json"]"#), "{shown}");
    assert!(shown.contains("http://x/sd") && !shown.contains("abc"), "{shown}");
    assert!(format!("{:?}", job.job).contains("<secret in /etc/prometheus/secret>"));
    let mut labels = [("__name__", "go_threads")].into_iter().collect();
    assert!(!job.job.metric_relabel.apply(&mut labels));
}

#[test]
fn all_mistakes_are_told_with_their_lines() {
    let text = "global:\n  scrape_intervall: 15s\nscrape_configs:\n- job_name: a\n  scrape_interval: often\n  scheme: ftp\n\
                \x20 static_configs:\n  - target: [x]\n  - targets: ['http://x']\n  relabel_configs:\n  - action: swap\n\
                \x20 - regex: '('\n    target_label: a\n  consul_sd_configs: []\n- job_name: a\n  sample_limit: -1\n\
                - scrape_timeout: 2m\nunknown: 1\n";
    assert_eq!(
        mistakes(text),
        [
            "2: global has no key `scrape_intervall`",
            "5: `scrape_interval: often` is not a duration such as 15s or 1m",
            "6: `scheme: ftp` is not http or https",
            "8: static_configs has no key `target`",
            "9: `http://x` is no HOST:PORT; path and scheme have keys of their own",
            "11: there is no relabel action `swap`",
            "12: unclosed group",
            "14: `consul_sd_configs` is not supported; there are static, file, http and kubernetes",
            "15: there are two jobs with the name `a`",
            "16: `sample_limit: -1` is not a number",
            "17: a job needs a `job_name`",
            "17: the scrape timeout is longer than the scrape interval",
            "18: a prometheus.yml has no key `unknown`",
        ]
    );
    assert_eq!(mistakes("scrape_configs:\n- job_name: a\n  job_name: b\n"), ["3: `job_name` is there twice"]);
}

#[test]
fn discoveries_that_cannot_be_are_told() {
    let text = "scrape_configs:\n- job_name: a\n  kubernetes_sd_configs:\n  - role: node\n    api_server: http://x\n\
                \x20 file_sd_configs:\n  - files: ['*/a.json', b.txt]\n  http_sd_configs:\n  - url: x\n\
                \x20 tls_config: {ca_file: missing.pem}\n  basic_auth: {username: a, password: b, password_file: c}\n\
                \x20 authorization: {credentials: d}\n";
    let found = mistakes(text);
    let expected = [
        "2: failed to read the certificates or the key in /etc/prometheus/missing.pem",
        "2: there is more than one of `basic_auth`, `authorization` and `bearer_token`",
        "4: `role: node` is not supported; pods are found by `role: pod`",
        "7: `*/a.json` is no name of a .json, .yml or .yaml file, or has `*` in its folder",
        "7: `b.txt` is no name of a .json, .yml or .yaml file, or has `*` in its folder",
        "9: `url: x` is not a URL of http or https",
        "9: http_sd_configs needs a `url`",
        "11: there are both `password` and `password_file`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn sizes_are_powers_of_1024() {
    assert_eq!(size("512B"), Some(512));
    assert_eq!(size("10MB"), Some(10 * 1024 * 1024));
    assert_eq!(size("1KiB"), Some(1024));
    assert_eq!(size("0"), Some(0));
    for wrong in ["", "10", "MB", "1XB", "-1MB", "99999999999TB"] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
}
