//! The one node that a node graph is about.

use super::call::Call;
use super::peer::Peer;

/// Which node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Focus {
    pub namespace: String,
    pub on: FocusOn,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FocusOn {
    Workload(String),
    App { name: String, version: Option<String> },
    Service(String),
}

impl Focus {
    /// Whether the call arrives at the node or leaves from it. A service only receives.
    #[must_use]
    pub fn touches(&self, call: &Call<'_>) -> bool {
        match &self.on {
            FocusOn::Workload(name) => self.is_workload(&call.source, name) || self.is_workload(&call.destination, name),
            FocusOn::App { name, version } => {
                let is = |peer: &Peer<'_>| {
                    peer.namespace == self.namespace
                        && peer.app == name
                        && version.as_deref().is_none_or(|version| peer.version == version)
                };
                is(&call.source) || is(&call.destination)
            }
            FocusOn::Service(name) => call.destination.service == name && call.destination.service_namespace == self.namespace,
        }
    }

    fn is_workload(&self, peer: &Peer<'_>, name: &str) -> bool {
        peer.namespace == self.namespace && peer.workload == name
    }
}
