//! Relabelling: a real Prometheus and this collector make the same targets of the same rules.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sidelight_collector::ingest::scrape::Discovery;
use sidelight_collector::ingest::scrape::config::{Finder, Job, parse};

use crate::peer::{Seen, promtool_accepts};
use crate::support::prometheus::Prometheus;

/// Jobs with rules made up at random, beside those written down.
const RANDOM_JOBS: usize = 120;

/// Targets of every job, with labels that rules can get hold of.
const TARGETS: &str = "  static_configs:
  - targets: ['a.example:80', 'b.example', '10.0.0.1:9090', '[fe80::1]:443']
    labels: {app: Cart-Ünit, version: v1, __meta_pod_label_tier: front end, __meta_pod_name: cart-7d9-x}
  - targets: ['c.example:1']
    labels: {app: cart, version: cart, empty: '', __metrics_path__: '/m/ö?x', __param_q: 'a b&c', __meta_pod_label_team: a.b}
  - targets: ['d.example:2']
    labels: {__scheme__: https, __scrape_interval__: 90m, instance: own, job: mine, port: '15020', ip: 10.1.2.3}
";
const TARGETS_OF_A_JOB: usize = 6;

/// What people write.
const WRITTEN: &[&str] = &[
    "[]",
    "[{source_labels: [app], regex: '(.*)-(.*)', target_label: app, replacement: '$2/$1'}]",
    "[{source_labels: [app, version], separator: '', target_label: joined}]",
    "[{source_labels: [app, missing, version], target_label: joined, replacement: 'x${1}y'}]",
    "[{target_label: fixed, replacement: value}]",
    "[{source_labels: [__address__], regex: '([^:]+)(?::\\d+)?', target_label: __address__, replacement: '${1}:15020'}]",
    "[{source_labels: [port, ip], regex: '(\\d+);((([0-9]+?)(\\.|$)){4})', target_label: __address__, replacement: '$2:$1'}]",
    "[{action: keep, source_labels: [app], regex: 'cart'}]",
    "[{action: drop, source_labels: [app], regex: '(?i)CART.*'}]",
    "[{action: keepequal, source_labels: [app], target_label: version}]",
    "[{action: dropequal, source_labels: [app], target_label: version}]",
    "[{action: labelmap, regex: '__meta_pod_label_(.+)'}]",
    "[{action: labelmap, regex: '__meta_pod_(label_)?(.+)', replacement: 'k8s_$2'}]",
    "[{action: labelmap, regex: '__meta_(.+)', replacement: '__param_$1'}]",
    "[{action: labeldrop, regex: 'app|ver.*'}]",
    "[{action: labelkeep, regex: '__.*|app'}]",
    "[{action: hashmod, source_labels: [__address__], modulus: 7, target_label: __tmp_hash}, {action: keep, source_labels: [__tmp_hash], regex: '[0-3]'}]",
    "[{action: hashmod, source_labels: [app, version], modulus: 18446744073709551615, target_label: hash}]",
    "[{action: lowercase, source_labels: [app], target_label: lower}, {action: uppercase, source_labels: [app], target_label: app}]",
    "[{source_labels: [app], target_label: '${1}_x', regex: '([a-z]+)', replacement: 'y'}]",
    "[{source_labels: [app], target_label: '${1}', regex: '(.+)', replacement: 'y'}]",
    "[{source_labels: [app], target_label: version, regex: 'nothing', replacement: 'y'}]",
    "[{source_labels: [app], target_label: version, replacement: ''}]",
    "[{source_labels: [version], target_label: app, regex: '(?P<letter>[a-z])(?P<digit>\\d)', replacement: '${digit}$letter$$${9}$x'}]",
    "[{source_labels: [__meta_pod_name], regex: '(.+)-[^-]+-[^-]+', target_label: workload}]",
    "[{source_labels: [app], regex: '\\w+', target_label: ascii, replacement: word}]",
    "[{source_labels: [app], regex: '[\\w-]+|.*\\pL.*', target_label: letters, replacement: '$0'}]",
    "[{source_labels: [__meta_pod_label_tier], regex: '(\\S+)\\s(\\S+)', target_label: tier, replacement: '$2.$1'}]",
    "[{source_labels: [app], regex: 'cart{', target_label: odd}, {source_labels: [app], regex: '[[:lower:]]+', target_label: even}]",
    "[{target_label: __scrape_interval__, replacement: 30m}, {target_label: __scrape_timeout__, replacement: 5s}]",
    "[{target_label: __param_module, replacement: 'http 2xx'}, {source_labels: [version], target_label: __metrics_path__}]",
    "[{target_label: __scheme__, replacement: https}, {source_labels: [app], target_label: instance}]",
    "[{target_label: job, replacement: other}, {action: labeldrop, regex: instance}]",
    "[{source_labels: [job], target_label: pool}, {source_labels: [__scheme__, __metrics_path__], separator: '|', target_label: how}]",
    "[{target_label: __address__, replacement: ''}]",
    "[{action: KEEP, source_labels: [__address__], regex: '.+:\\d+'}]",
];

fn job(name: &str, rules: &str) -> String {
    format!("- job_name: {name}\n  params: {{module: [one, two]}}\n{TARGETS}  relabel_configs: {rules}\n")
}

fn document(jobs: &[String]) -> String {
    format!("global: {{scrape_interval: 1h, scrape_timeout: 1s}}\nscrape_configs:\n{}", jobs.concat())
}

/// A generator that gives the same rules every time.
struct Dice(u64);

impl Dice {
    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        choices[usize::try_from(self.0 >> 33).unwrap() % choices.len()]
    }
}

fn random_rule(dice: &mut Dice) -> String {
    let mut rule = vec![format!(
        "action: {}",
        dice.pick(&[
            "replace",
            "replace",
            "replace",
            "keep",
            "drop",
            "hashmod",
            "labelmap",
            "labeldrop",
            "labelkeep",
            "lowercase",
            "uppercase",
            "keepequal",
            "dropequal"
        ])
    )];
    let sources =
        ["", "[app]", "[version]", "[app, version]", "[__address__]", "[__meta_pod_name, app]", "[missing]", "[job]", "[a-b]"];
    let regexes = [
        "",
        "",
        "'(.*)'",
        "'.+'",
        "'[a-z]+'",
        "'c.*t'",
        "'(?:v|cart)(\\d?).*'",
        "'(.)(.*)'",
        "'[^-]+-(.*)'",
        "'app|version'",
        "'__meta_pod_(.+)_(.+)'",
        "'__.*|i.*|j.*'",
        "'a.*'",
        "'('",
        "'\\d+'",
        "'.*[\\d.]+.*'",
        "''",
        "'(a|b|c)?.*'",
        "'\\Qa.\\E.*'",
    ];
    let targets = ["", "app", "version", "new", "_tmp", "'${1}'", "'l_$1'", "instance", "__param_x", "0x", "a-b"];
    let replacements = ["", "", "'$1'", "'${2}-$1'", "x", "''", "'$0$0'", "'a$$b'", "'${1'", "'k_$1'", "'$1_$2'"];
    for (key, value) in [
        ("source_labels", dice.pick(&sources)),
        ("regex", dice.pick(&regexes)),
        ("target_label", dice.pick(&targets)),
        ("replacement", dice.pick(&replacements)),
        ("separator", dice.pick(&["", "", "", "'-'", "''", "';'"])),
        ("modulus", dice.pick(&["", "", "2", "1000", "0"])),
    ] {
        if !value.is_empty() {
            rule.push(format!("{key}: {value}"));
        }
    }
    format!("{{{}}}", rule.join(", "))
}

/// What a job's static targets become.
fn found(job: &Job) -> Discovery {
    let groups = job.finders.iter().flat_map(|finder| match finder {
        Finder::Static(groups) => groups.clone(),
        other => panic!("{other:?}"),
    });
    Discovery::of(&job.defaults, &groups.collect::<Vec<_>>())
}

fn ours(jobs: &[Job]) -> Seen {
    let mut seen = Seen::new();
    for job in jobs {
        for target in found(job).targets {
            let labels: Value = serde_json::to_value(&*target.labels).unwrap();
            seen.entry(job.defaults.job.name.to_string()).or_default().push((target.url, labels));
        }
    }
    seen.values_mut().for_each(|targets| targets.sort_by_key(|(url, labels)| (url.clone(), labels.to_string())));
    seen
}

/// What is dropped has no target, and what is wrong neither; both are in Prometheus' sum only when they are dropped.
fn count(jobs: &[Job]) -> usize {
    let each = jobs.iter().map(|job| {
        let found = found(job);
        assert!(found.targets.len() + found.dropped_total <= TARGETS_OF_A_JOB);
        found.targets.len() + found.dropped_total
    });
    each.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_makes_the_same_targets() {
    let folder = tempfile::tempdir().unwrap();
    let mut jobs: Vec<String> = WRITTEN.iter().enumerate().map(|(n, rules)| job(&format!("written-{n}"), rules)).collect();
    let (mut dice, mut refused) = (Dice(7), Vec::new());
    while jobs.len() < WRITTEN.len() + RANDOM_JOBS {
        let rules = (0..2).map(|_| random_rule(&mut dice)).collect::<Vec<_>>().join(", ");
        let job = job(&format!("random-{}", jobs.len()), &format!("[{rules}]"));
        match parse(&document(std::slice::from_ref(&job)), Path::new(".")) {
            Ok(_) => jobs.push(job),
            Err(_) => refused.push((rules, job)),
        }
    }
    // What we refuse Prometheus refuses too; what we take it takes, or it would not start.
    assert!(refused.len() > 20, "only {} rules are refused", refused.len());
    for (rules, job) in refused.iter().take(40) {
        assert!(!promtool_accepts(folder.path(), &document(std::slice::from_ref(job))), "Prometheus takes {rules}");
    }
    let config = document(&jobs);
    let parsed = parse(&config, Path::new(".")).unwrap();
    let peer = Prometheus::start(&config).await;
    let (theirs, ours) = (peer.targets(count(&parsed)).await, ours(&parsed));
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let compared: usize = theirs.values().map(Vec::len).sum();
    for name in names {
        let rules = jobs.iter().find(|job| job.starts_with(&format!("- job_name: {name}\n"))).unwrap();
        assert_eq!(ours.get(name), theirs.get(name), "{}", rules.lines().last().unwrap());
    }
    assert!(compared > 200, "only {compared} targets were compared");
}
