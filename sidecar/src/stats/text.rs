//! The list of statistics as `/stats` prints it and as Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;

use regex::Regex;

use super::collect::{Collected, Scope};

/// What a query string asks of the list.
#[derive(Debug, Default)]
pub struct Filter {
    used_only: bool,
    pattern: Option<Regex>,
}

/// Longest expression that is compiled.
const PATTERN_MAX: usize = 1024;

impl Filter {
    /// An expression that cannot be read is an error with a message for the client.
    pub fn new(used_only: bool, pattern: Option<&str>) -> Result<Self, String> {
        let pattern = match pattern {
            None | Some("") => None,
            Some(text) if text.len() > PATTERN_MAX => {
                return Err(format!("filter is longer than {PATTERN_MAX} bytes\n"));
            }
            Some(text) => Some(Regex::new(text).map_err(|_| format!("Invalid re2 regex: {text}\n"))?),
        };
        Ok(Self { used_only, pattern })
    }

    fn takes(&self, stat: &Collected, dotted: &str) -> bool {
        (!self.used_only || stat.gauge || stat.value > 0) && self.pattern.as_ref().is_none_or(|p| p.is_match(dotted))
    }
}

/// Lines of `name: value`, sorted by name.
pub fn stats_text(stats: &[Collected], filter: &Filter) -> String {
    let mut lines: Vec<_> = stats
        .iter()
        .map(|stat| (dotted(stat), stat))
        .filter(|(name, stat)| filter.takes(stat, name))
        .map(|(name, stat)| format!("{name}: {}\n", stat.value))
        .collect();
    lines.sort_unstable();
    lines.concat()
}

/// Families with their samples: counters first, then gauges.
pub fn prometheus(stats: &[Collected], filter: &Filter) -> String {
    let mut families: BTreeMap<(bool, String), Vec<(String, u64)>> = BTreeMap::new();
    for stat in stats {
        if filter.takes(stat, &dotted(stat)) {
            let (name, labels) = sample(stat);
            families.entry((stat.gauge, name)).or_default().push((labels, stat.value));
        }
    }
    let mut page = String::new();
    for ((gauge, name), samples) in families {
        let kind = if gauge { "gauge" } else { "counter" };
        let _ = writeln!(page, "# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(page, "{name}{{{labels}}} {value}");
        }
    }
    page
}

fn dotted(stat: &Collected) -> String {
    let scope = match &stat.scope {
        Scope::Cluster(name) => format!("cluster.{name}"),
        Scope::ClusterManager => "cluster_manager".to_owned(),
        Scope::Http(prefix) => format!("http.{prefix}"),
        Scope::Listener(address) => format!("listener.{address}"),
        Scope::ListenerManager => "listener_manager".to_owned(),
        Scope::Server => "server".to_owned(),
    };
    let name = match stat.name.split_once("ds_") {
        // `cds_update_success` is `cluster_manager.cds.update_success`.
        Some((kind @ ("c" | "l"), rest)) => format!("{kind}ds.{rest}"),
        _ => match stat.name.strip_prefix("circuit_breakers_default_") {
            Some(rest) => format!("circuit_breakers.default.{rest}"),
            None => stat.name.to_owned(),
        },
    };
    match stat.code {
        Some(code) => format!("{scope}.{name}_{code}"),
        None => format!("{scope}.{name}"),
    }
}

fn sample(stat: &Collected) -> (String, String) {
    let (scope, label) = match &stat.scope {
        Scope::Cluster(name) => ("cluster", Some(("cluster_name", name.as_ref()))),
        Scope::ClusterManager => ("cluster_manager", None),
        Scope::Http(prefix) => ("http", Some(("http_conn_manager_prefix", prefix.as_str()))),
        Scope::Listener(address) => ("listener", Some(("listener_address", address.as_str()))),
        Scope::ListenerManager => ("listener_manager", None),
        Scope::Server => ("server", None),
    };
    let mut labels = String::new();
    if let Some((name, value)) = label {
        let value = value.strip_suffix(';').unwrap_or(value);
        let _ = write!(labels, "{name}=\"{}\"", escape(value));
    }
    if let Some(code) = stat.code {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = write!(labels, "{comma}response_code=\"{code}\"");
    }
    (format!("envoy_{scope}_{}", stat.name), labels)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stats() -> Vec<Collected> {
        let reviews = Scope::Cluster("outbound|9080||reviews".into());
        let number = |scope: &Scope, name, code, gauge, value| Collected { scope: scope.clone(), name, code, gauge, value };
        vec![
            number(&Scope::Server, "live", None, true, 1),
            number(&reviews, "upstream_rq", Some(200), false, 2),
            number(&reviews, "upstream_cx_total", None, false, 0),
            number(&Scope::ClusterManager, "cds_update_success", None, false, 3),
        ]
    }

    #[test]
    fn envoys_dotted_names() {
        assert_eq!(
            stats_text(&stats(), &Filter::default()),
            "cluster.outbound|9080||reviews.upstream_cx_total: 0\n\
             cluster.outbound|9080||reviews.upstream_rq_200: 2\n\
             cluster_manager.cds.update_success: 3\n\
             server.live: 1\n"
        );
    }

    #[test]
    fn istios_prometheus_names() {
        assert_eq!(
            prometheus(&stats(), &Filter::new(true, None).unwrap()),
            "# TYPE envoy_cluster_manager_cds_update_success counter\n\
             envoy_cluster_manager_cds_update_success{} 3\n\
             # TYPE envoy_cluster_upstream_rq counter\n\
             envoy_cluster_upstream_rq{cluster_name=\"outbound|9080||reviews\",response_code=\"200\"} 2\n\
             # TYPE envoy_server_live gauge\n\
             envoy_server_live{} 1\n"
        );
    }

    #[test]
    fn the_readiness_probes_filter_finds_its_lines() {
        let filter =
            Filter::new(true, Some(r"^(cluster_manager\.cds|listener_manager\.lds)\.(update_success|update_rejected)$")).unwrap();
        assert_eq!(stats_text(&stats(), &filter), "cluster_manager.cds.update_success: 3\n");
        assert!(Filter::new(false, Some("(")).is_err());
    }
}
