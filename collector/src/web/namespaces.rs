//! Lists the namespaces: those with registered workloads or objects, and those that telemetry still remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sidelight_api::graph::Namespace;

use super::error::Refusal;
use super::parts::Shared;
use crate::query::graph::facts::MeshFacts;
use crate::query::graph::peer::known;
use crate::store::EdgeLabels;

pub async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<Namespace>>, Refusal> {
    let remembered = shared.store.namespaces().await?;
    let edges = shared.store.known_edges().await?;
    Ok(Json(namespaces(&shared.mesh.facts(), &remembered, &edges)))
}

/// What is counted of one namespace while the rows are read.
#[derive(Default)]
struct Counted<'a> {
    cluster: &'a str,
    workloads: BTreeSet<&'a str>,
    services: u32,
    objects: u32,
}

fn namespaces(facts: &MeshFacts, remembered: &[String], edges: &[Arc<EdgeLabels>]) -> Vec<Namespace> {
    let mut all: BTreeMap<&str, Counted<'_>> = BTreeMap::new();
    for ((namespace, workload), known) in &facts.workloads {
        all.entry(namespace).or_default().add_workload(workload, &known.cluster);
    }
    for edge in edges {
        for (namespace, workload, cluster) in [
            (&edge.source_workload_namespace, &edge.source_workload, &edge.source_cluster),
            (&edge.destination_workload_namespace, &edge.destination_workload, &edge.destination_cluster),
        ] {
            if known(namespace) && known(workload) {
                all.entry(namespace).or_default().add_workload(workload, cluster);
            }
        }
    }
    for (namespace, _) in facts.services.keys() {
        all.entry(namespace).or_default().services += 1;
    }
    for (namespace, objects) in &facts.objects {
        all.entry(namespace).or_default().objects += objects;
    }
    for namespace in remembered {
        all.entry(namespace).or_default();
    }
    all.into_iter().map(|(name, counted)| counted.into_row(name)).collect()
}

impl<'a> Counted<'a> {
    fn add_workload(&mut self, workload: &'a str, cluster: &'a str) {
        self.workloads.insert(workload);
        if self.cluster.is_empty() && known(cluster) {
            self.cluster = cluster;
        }
    }

    fn into_row(self, name: &str) -> Namespace {
        Namespace {
            name: name.to_owned(),
            cluster: self.cluster.to_owned(),
            workloads: u32::try_from(self.workloads.len()).unwrap_or(u32::MAX),
            services: self.services,
            objects: self.objects,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::namespaces;
    use crate::query::graph::facts::ServiceFacts;
    use crate::query::graph::fixture::{Fixture, from};
    use sidelight_api::graph::Namespace;
    use std::sync::Arc;

    #[test]
    fn registered_remembered_and_configured_namespaces_are_listed() {
        let fixture = Fixture::default()
            .workload("bookinfo/reviews-v1", 1, 1)
            .and(from("bookinfo/reviews-v2").to("shop/cart-v1"))
            .and(from("shop/cart-v1").to_passthrough("example.com"));
        let mut facts = fixture.mesh.clone();
        facts.services.insert(("bookinfo".to_owned(), "reviews".to_owned()), ServiceFacts::default());
        facts.objects.insert("empty".to_owned(), 3);
        let edges: Vec<_> = fixture.rows.iter().map(|row| Arc::clone(&row.labels)).collect();
        let row = |name: &str, cluster: &str, workloads, services, objects| Namespace {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            workloads,
            services,
            objects,
        };
        assert_eq!(
            namespaces(&facts, &["gone".to_owned()], &edges),
            [row("bookinfo", "c", 2, 1, 0), row("empty", "", 0, 0, 3), row("gone", "", 0, 0, 0), row("shop", "c", 1, 0, 0)]
        );
    }
}
