//! The four kinds of graph, boxes, node graphs and the order of it all.

use sidelight_api::graph::{BoxBy, GraphType, NodeType};

use crate::query::graph::fixture::{Fixture, bookinfo, edge, from, names, node, options};
use crate::query::graph::focus::{Focus, FocusOn};
use crate::query::graph::{Input, build_around};

#[test]
fn an_app_graph_knows_no_versions() {
    let graph = bookinfo().graph(&options("graphType=app"));
    assert_eq!(names(&graph), ["app:details", "app:istio-ingressgateway", "app:productpage", "app:ratings", "app:reviews"]);
    assert_eq!(edge(&graph, "app:productpage", "app:reviews").traffic.requests, 60);
    assert_eq!(edge(&graph, "app:reviews", "app:ratings").traffic.requests, 40);
}

#[test]
fn a_versioned_app_graph_boxes_versions() {
    let graph = bookinfo().graph(&options("graphType=versionedApp"));
    let boxes: Vec<_> = graph.elements.nodes.iter().filter(|n| n.data.is_box.is_some()).map(|n| &n.data).collect();
    assert_eq!(boxes.len(), 1);
    assert_eq!((boxes[0].app.as_deref(), boxes[0].is_box), (Some("reviews"), Some(BoxBy::App)));
    for workload in ["wl:reviews-v1", "wl:reviews-v2", "wl:reviews-v3"] {
        let node = node(&graph, workload);
        assert_eq!(node.node_type, NodeType::App);
        assert_eq!(node.parent.as_ref(), Some(&boxes[0].id));
    }
    assert_eq!(node(&graph, "wl:reviews-v2").version.as_deref(), Some("v2"));
    assert_eq!(node(&graph, "wl:istio-ingressgateway").version, None);
    assert_eq!(boxes[0].health_data.as_ref().unwrap().requests.inbound["http"]["200"], 1.0);
}

#[test]
fn a_service_graph_joins_services() {
    let graph = bookinfo().graph(&options("graphType=service"));
    assert_eq!(graph.graph_type, GraphType::Service);
    assert_eq!(names(&graph), ["svc:details", "svc:productpage", "svc:ratings", "svc:reviews", "wl:istio-ingressgateway"]);
    assert!(node(&graph, "wl:istio-ingressgateway").is_root);
    assert_eq!(edge(&graph, "wl:istio-ingressgateway", "svc:productpage").traffic.requests, 60);
    assert_eq!(edge(&graph, "svc:productpage", "svc:reviews").traffic.requests, 60);
    let ratings = edge(&graph, "svc:reviews", "svc:ratings");
    assert_eq!(ratings.traffic.requests, 40);
    assert_eq!(ratings.traffic.rates["httpPercentReq"], "100.0");
    assert_eq!(node(&graph, "svc:productpage").traffic[0].rates["httpOut"], "2.00");
}

#[test]
fn a_caller_that_no_service_stands_for_stays_in_the_service_graph() {
    let direct = from("a/one-v1").to("a/two-v1").times(6).label("destination_service_name", "unknown");
    let fixture = Fixture::default().and(direct).and(from("a/two-v1").to("a/three-v1").times(6));
    let graph = fixture.graph(&options("graphType=service"));
    assert_eq!(edge(&graph, "wl:two-v1", "svc:three").traffic.requests, 6);
}

#[test]
fn boxes_of_namespaces_need_two_of_them() {
    let graph = bookinfo().graph(&options("boxBy=namespace,cluster"));
    let boxes: Vec<_> = graph.elements.nodes.iter().filter_map(|n| Some((n.data.is_box?, n.data.namespace.as_str()))).collect();
    assert_eq!(boxes, [(BoxBy::Namespace, "bookinfo")], "istio-system has one member, and there is one cluster");
    let alone = bookinfo().graph(&options("boxBy=namespace&namespaces=bookinfo&rateHttp=none"));
    assert!(alone.elements.nodes.iter().all(|n| n.data.is_box.is_none()));
}

#[test]
fn boxes_nest() {
    let graph = bookinfo().graph(&options("graphType=versionedApp&boxBy=app,namespace"));
    let kinds: Vec<_> = graph.elements.nodes.iter().take(2).map(|n| n.data.is_box).collect();
    assert_eq!(kinds, [Some(BoxBy::Namespace), Some(BoxBy::App)]);
    assert_eq!(graph.elements.nodes[1].data.parent.as_ref(), Some(&graph.elements.nodes[0].data.id));
}

#[test]
fn the_graph_of_a_workload_holds_its_neighbours() {
    let fixture = bookinfo();
    let input = Input { edges: &fixture.rows, fresh: &[], mesh: &fixture.mesh, last_sample_ms: None };
    let around = |on| build_around(input, &options("injectServiceNodes=true"), &Focus { namespace: "bookinfo".to_owned(), on });
    let workload = around(FocusOn::Workload("reviews-v2".to_owned()));
    assert_eq!(names(&workload), ["svc:ratings", "svc:reviews", "wl:productpage-v1", "wl:ratings-v1", "wl:reviews-v2"]);
    assert_eq!(edge(&workload, "svc:reviews", "wl:reviews-v2").traffic.requests, 20);
    let service = around(FocusOn::Service("details".to_owned()));
    assert_eq!(names(&service), ["svc:details", "wl:details-v1", "wl:productpage-v1"]);
    let app = around(FocusOn::App { name: "reviews".to_owned(), version: Some("v1".to_owned()) });
    assert_eq!(names(&app), ["svc:reviews", "wl:productpage-v1", "wl:reviews-v1"]);
}

#[test]
fn nodes_and_edges_are_sorted() {
    let graph = bookinfo().graph(&options("graphType=versionedApp&injectServiceNodes=true"));
    let nodes: Vec<_> = graph
        .elements
        .nodes
        .iter()
        .map(|n| (n.data.is_box.is_none(), n.data.namespace.clone(), n.data.app.clone(), n.data.version.clone()))
        .collect();
    assert!(nodes.is_sorted());
    let edges: Vec<_> = graph.elements.edges.iter().map(|e| (&e.data.source, &e.data.target, &e.data.traffic.protocol)).collect();
    assert!(edges.is_sorted());
}
