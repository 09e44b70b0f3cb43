//! What a discovery finds: groups of targets with labels, and the targets that a job makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tracing::warn;

use super::labels::LabelSet;
use super::target::{ScrapeTarget, TargetDefaults};

/// Dropped targets that are shown for each pool; all of them are counted.
const DROPPED_SHOWN_MAX: usize = 500;
/// Targets that one source may find; more are refused.
pub const FOUND_MAX: usize = 50_000;

/// Labels of targets that were found together; those of a target win over those of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Each has an `__address__`.
    pub targets: Vec<LabelSet>,
    pub labels: LabelSet,
}

/// What one source says now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovery {
    pub pool: Arc<str>,
    pub targets: Vec<ScrapeTarget>,
    /// The first of those that relabelling dropped.
    pub dropped: Vec<Arc<LabelSet>>,
    pub dropped_total: usize,
    /// Beyond [`FOUND_MAX`].
    pub refused: usize,
}

/// `[{"targets": ["127.0.0.1:15020"], "labels": {"namespace": "bookinfo"}}]`, as files and HTTP servers tell it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// Reads groups in JSON, in which HTTP servers and files write them.
pub fn read_groups(json: &str) -> Result<Vec<TargetGroup>, serde_json::Error> {
    let groups: Option<Vec<WrittenGroup>> = serde_json::from_str(json)?;
    Ok(groups.unwrap_or_default().into_iter().map(group).collect())
}

/// Reads groups in YAML, which files may also be written in.
pub fn read_yaml_groups(yaml: &str) -> Result<Vec<TargetGroup>, serde_saphyr::Error> {
    let groups: Option<Vec<WrittenGroup>> = serde_saphyr::from_str(yaml)?;
    Ok(groups.unwrap_or_default().into_iter().map(group).collect())
}

fn group(written: WrittenGroup) -> TargetGroup {
    TargetGroup {
        targets: written.targets.into_iter().map(|address| [("__address__", address)].into_iter().collect()).collect(),
        labels: written.labels.unwrap_or_default().into_iter().collect(),
    }
}

impl Discovery {
    /// The targets of a job. One that is wrong is told of and left out; two that are the same are one.
    #[must_use]
    pub fn of(defaults: &TargetDefaults, groups: &[TargetGroup]) -> Self {
        let count: usize = groups.iter().map(|group| group.targets.len()).sum();
        let refused = count.saturating_sub(FOUND_MAX);
        let mut discovery = Self { pool: defaults.job.name.clone(), refused, ..Self::default() };
        let mut known = std::collections::HashSet::new();
        let found = groups.iter().flat_map(|group| group.targets.iter().map(move |target| (target, &group.labels)));
        for (target, group) in found.take(FOUND_MAX) {
            let mut labels = group.clone();
            for (name, value) in target.iter() {
                labels.set(name, value.clone());
            }
            match defaults.target(&labels) {
                Ok(Ok(target)) => {
                    if known.insert((target.key.clone(), target.labels.clone())) {
                        discovery.targets.push(target);
                    }
                }
                Ok(Err(dropped)) => {
                    discovery.dropped_total += 1;
                    if discovery.dropped.len() < DROPPED_SHOWN_MAX {
                        discovery.dropped.push(dropped);
                    }
                }
                Err(error) => {
                    warn!(job = %defaults.job.name, address = labels.get("__address__"), %error, "this is no target");
                }
            }
        }
        discovery
    }
}
