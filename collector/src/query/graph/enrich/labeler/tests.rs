//! Labels on nodes.

use std::collections::BTreeMap;

use crate::query::graph::facts::ServiceFacts;
use crate::query::graph::fixture::{Fixture, bookinfo, node, options};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn fixture() -> Fixture {
    let mut fixture = bookinfo().workload("bookinfo/reviews-v1", 1, 1).workload("bookinfo/reviews-v2", 1, 1);
    let key = ("bookinfo".to_owned(), "reviews-v2".to_owned());
    if let Some(workload) = fixture.mesh.workloads.get_mut(&key) {
        workload.labels.insert("team".to_owned(), "red".to_owned());
    }
    let service = ServiceFacts { app: "reviews".to_owned(), labels: labels(&[("app", "reviews"), ("owner", "ann")]) };
    fixture.mesh.services.insert(("bookinfo".to_owned(), "reviews".to_owned()), service);
    fixture
}

#[test]
fn workloads_and_services_show_their_labels_without_app_and_version() {
    let graph = fixture().graph(&options("injectServiceNodes=true"));
    assert_eq!(node(&graph, "wl:reviews-v2").labels, labels(&[("tier", "demo"), ("team", "red")]));
    assert_eq!(node(&graph, "svc:reviews").labels, labels(&[("owner", "ann")]));
    assert!(node(&graph, "wl:ratings-v1").labels.is_empty());
}

#[test]
fn an_app_shows_what_its_workloads_share() {
    let graph = fixture().graph(&options("graphType=app"));
    assert_eq!(node(&graph, "app:reviews").labels, labels(&[("tier", "demo")]));
}

#[test]
fn without_the_step_there_are_none() {
    let graph = fixture().graph(&options("appenders=health"));
    assert!(graph.elements.nodes.iter().all(|node| node.data.labels.is_empty()));
}
