//! One number, five witnesses: the client, both proxies' counters, the access logs and the graph agree to the request.
#![allow(clippy::unwrap_used)]

mod support;

use support::{free_port, mesh};

/// Page views; `SIDELIGHT_MESH_REQUESTS` asks for another number.
const REQUESTS: u64 = 10_000;

/// Scenario S11.
#[tokio::test(flavor = "multi_thread")]
async fn s11_client_counters_logs_and_graph_agree() {
    let requests = std::env::var("SIDELIGHT_MESH_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let mesh = mesh().bookinfo(free_port()).start().await;
    let report = mesh.requests("/productpage", &[], requests).await;
    println!("{report}");
    assert_eq!((report.sent, report.answered), (requests, requests));
    assert_eq!(report.by_status, [(200, requests)].into());

    let reviews = pairs_of_calls(&mesh).await;
    let mut edges = vec![("istio-ingressgateway", "productpage-v1", requests), ("productpage-v1", "details-v1", requests)];
    edges.extend(reviews.iter().map(|(version, count)| ("productpage-v1", *version, *count)));
    edges.extend(reviews[1..].iter().map(|(version, count)| (*version, "ratings-v1", *count)));
    assert_eq!(reviews.iter().map(|(_, count)| count).sum::<u64>(), requests);

    for (source, target, expected) in edges {
        let labels = [("source_workload", source), ("destination_workload", target), ("response_code", "200")];
        for reporter in ["source", "destination"] {
            let counted = mesh.requests_total(&[&labels[..], &[("reporter", reporter)]].concat()).await;
            assert_eq!(counted, expected, "{source} → {target} as the {reporter} counts");
        }
        assert_eq!(mesh.settled_edge(source, target, expected).await, expected, "{source} → {target} over time");
        let (rate, seconds) = mesh.edge_rate(source, target).await;
        assert_eq!(rate, format!("{:.2}", expected as f64 / seconds as f64), "{source} → {target} in {seconds} s of the graph");
    }
    logs_agree(&mesh, requests, &reviews).await;
    mesh.stop().await;
}

/// Calls of each version of reviews as productpage's proxy counted them; the split itself is chance.
async fn pairs_of_calls(mesh: &support::Mesh) -> Vec<(&'static str, u64)> {
    let mut counts = Vec::new();
    for version in ["reviews-v1", "reviews-v2", "reviews-v3"] {
        let labels = [("reporter", "source"), ("destination_workload", version)];
        counts.push((version, mesh.requests_total(&labels).await));
    }
    counts
}

/// A line on each side of every call.
async fn logs_agree(mesh: &support::Mesh, requests: u64, reviews: &[(&str, u64)]) {
    let requests = usize::try_from(requests).unwrap();
    let inbound = "\"GET /productpage HTTP/1.1\" 200";
    assert_eq!(mesh.log_lines("istio-ingressgateway", inbound, requests).await, requests);
    assert_eq!(mesh.log_lines("productpage-v1", inbound, requests).await, requests);
    assert_eq!(mesh.log_lines("productpage-v1", "\"GET /details/0 HTTP/1.1\" 200", requests).await, requests);
    assert_eq!(mesh.log_lines("productpage-v1", "\"GET /reviews/0 HTTP/1.1\" 200", requests).await, requests);
    assert_eq!(mesh.log_lines("details-v1", "\"GET /details/0 HTTP/1.1\" 200", requests).await, requests);
    let mut rated = 0;
    for (version, count) in reviews {
        let count = usize::try_from(*count).unwrap();
        assert_eq!(mesh.log_lines(version, "\"GET /reviews/0 HTTP/1.1\" 200", count).await, count, "{version}");
        if *version != "reviews-v1" {
            assert_eq!(mesh.log_lines(version, "\"GET /ratings/0 HTTP/1.1\" 200", count).await, count, "{version}");
            rated += count;
        }
    }
    assert_eq!(mesh.log_lines("ratings-v1", "\"GET /ratings/0 HTTP/1.1\" 200", rated).await, rated);
}
