//! What exists without traffic is shown when asked for, once.

use crate::query::graph::facts::ServiceFacts;
use crate::query::graph::fixture::{Fixture, bookinfo, find_node, names, node, options};

fn fixture() -> Fixture {
    let mut fixture =
        bookinfo().workload("bookinfo/reviews-v1", 1, 1).workload("bookinfo/spare-v1", 1, 1).workload("other/far-v1", 1, 1);
    for service in ["reviews", "spare"] {
        fixture.mesh.services.insert(("bookinfo".to_owned(), service.to_owned()), ServiceFacts::default());
    }
    fixture
}

#[test]
fn idle_workloads_of_the_chosen_namespaces_are_added() {
    let graph = fixture().graph(&options("namespaces=bookinfo&appenders=idleNode"));
    let spare = node(&graph, "wl:spare-v1");
    assert!(spare.is_idle && spare.traffic.is_empty());
    assert_eq!((spare.app.as_deref(), spare.version.as_deref(), spare.cluster.as_str()), (Some("spare"), Some("v1"), "c"));
    assert!(!node(&graph, "wl:reviews-v1").is_idle);
    assert!(find_node(&graph, "wl:far-v1").is_none());
    assert!(find_node(&graph, "svc:spare").is_none(), "services only where services are shown");
}

#[test]
fn idle_services_are_added_where_services_are_shown() {
    let graph = fixture().graph(&options("namespaces=bookinfo&appenders=idleNode&injectServiceNodes=true"));
    assert!(node(&graph, "svc:spare").is_idle && !node(&graph, "svc:reviews").is_idle);
    assert_eq!(node(&graph, "svc:spare").cluster, "c");
    let services = fixture().graph(&options("namespaces=bookinfo&appenders=idleNode&graphType=service"));
    assert!(node(&services, "svc:spare").is_idle);
    assert!(find_node(&services, "wl:spare-v1").is_none());
}

#[test]
fn an_app_is_idle_only_when_all_of_it_is() {
    let graph = fixture().workload("bookinfo/reviews-v4", 1, 1).graph(&options("appenders=idleNode&graphType=app"));
    assert!(!node(&graph, "app:reviews").is_idle && node(&graph, "app:spare").is_idle);
}

#[test]
fn without_the_step_nothing_is_added() {
    let graph = fixture().graph(&options("appenders=health&namespaces=bookinfo"));
    assert!(!names(&graph).contains(&"wl:spare-v1".to_owned()));
}
