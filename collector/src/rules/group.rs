//! What a rule file says: groups of rules that are evaluated together.

use std::sync::Arc;
use std::time::Duration;

use super::template::Template;

/// Rules that are evaluated in their order, each at the same time of the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: String,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// `None`: that of the settings.
    pub interval: Option<Duration>,
    /// Series of a recording rule, or alerts of an alerting rule; 0 is no limit.
    pub limit: usize,
    /// How far in the past questions are asked, for samples that come late.
    pub query_offset: Duration,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The metric that is recorded, or the name of the alert.
    pub name: String,
    /// On one line, as Prometheus prints it.
    pub expression: String,
    pub labels: Vec<(String, Template, String)>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Recording,
    Alerting(Alerting),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// How long something has to hold before it fires.
    pub hold: Duration,
    pub keep_firing: Duration,
    pub annotations: Vec<(String, Template, String)>,
}

impl Group {
    /// Names the group among all of them.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}

impl Rule {
    /// Whether it goes on with what another one was doing: the same name and labels, as in Prometheus.
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        let is_same_kind =
            matches!((&self.kind, &other.kind), (Kind::Recording, Kind::Recording) | (Kind::Alerting(_), Kind::Alerting(_)));
        self.name == other.name && self.labels == other.labels && is_same_kind
    }

    #[must_use]
    pub fn alerting(&self) -> Option<&Alerting> {
        match &self.kind {
            Kind::Alerting(alerting) => Some(alerting),
            Kind::Recording => None,
        }
    }
}
