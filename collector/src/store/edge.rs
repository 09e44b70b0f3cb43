//! What makes an edge: one combination of the labels that Istio's standard metrics carry.

use std::collections::HashSet;
use std::sync::Arc;

/// Chooses edges by their labels.
pub type EdgeFilter = Arc<dyn Fn(&EdgeLabels) -> bool + Send + Sync>;

macro_rules! edge_labels {
    ($($name:ident),+ $(,)?) => {
        /// The labels of one edge, named as in the metrics. A label that a series does not carry is empty, as in
        /// Prometheus, where an empty label and an absent one are the same.
        ///
        /// The last one no metric carries: `telemetry` says what the edge was counted from, empty for metrics, `logs` or
        /// `spans`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct EdgeLabels { $(pub $name: Arc<str>),+ }

        impl EdgeLabels {
            /// Names of all labels, in the order of the metrics.
            pub const NAMES: [&'static str; [$(stringify!($name)),+].len()] = [$(stringify!($name)),+];

            /// Values in the order of [`Self::NAMES`].
            #[must_use]
            pub fn values(&self) -> [&Arc<str>; Self::NAMES.len()] {
                [$(&self.$name),+]
            }

            /// Sets a label; false when it is none of an edge's.
            pub fn set(&mut self, name: &str, value: Arc<str>) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

edge_labels! {
    reporter,
    source_workload,
    source_canonical_service,
    source_canonical_revision,
    source_workload_namespace,
    source_principal,
    source_app,
    source_version,
    source_cluster,
    destination_workload,
    destination_workload_namespace,
    destination_principal,
    destination_app,
    destination_version,
    destination_service,
    destination_canonical_service,
    destination_canonical_revision,
    destination_service_name,
    destination_service_namespace,
    destination_cluster,
    request_protocol,
    response_code,
    grpc_response_status,
    response_flags,
    connection_security_policy,
    telemetry,
}

impl EdgeLabels {
    /// The namespaces that the edge touches: of the caller, of the service and of the workload that answered.
    #[must_use]
    pub fn namespaces(&self) -> [&str; 3] {
        [&self.source_workload_namespace, &self.destination_service_namespace, &self.destination_workload_namespace]
    }
}

/// Edges that touch one of the namespaces.
#[must_use]
pub fn in_namespaces(namespaces: &[String]) -> EdgeFilter {
    let wanted: HashSet<String> = namespaces.iter().cloned().collect();
    Arc::new(move |edge| edge.namespaces().iter().any(|namespace| wanted.contains(*namespace)))
}
