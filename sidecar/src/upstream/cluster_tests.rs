//! What survives an update, and what a full cluster says.

use std::time::Duration;

use super::*;
use crate::config::cluster::Policy;

fn config(connections_max: u32, pending_max: u32) -> Arc<Cluster> {
    Arc::new(Cluster {
        name: "outbound|80||a".into(),
        alt_stat_name: String::new(),
        discovery: Discovery::Eds("outbound|80||a".into()),
        policy: Policy::RoundRobin,
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        connections_max,
        pending_max,
        requests_max: 1024,
        requests_per_connection_max: None,
        service: None,
        hide_identity: false,
    })
}

fn endpoint(address: &str, workload: &str) -> Endpoint {
    Endpoint { workload: Some(workload.into()), ..Endpoint::at(address.parse().unwrap()) }
}

#[test]
fn hosts_that_stay_keep_connections_and_peer() {
    let cluster = LiveCluster::new(config(1024, 1024), true, None);
    let first = endpoint("127.0.0.1:80", "reviews-v1;bookinfo;reviews;v1;Kubernetes");
    cluster.set_endpoints(&[first.clone(), endpoint("127.0.0.2:80", "x")]);
    let before = cluster.hosts().all[0].clone();

    let heavier = Endpoint { weight: 5, ..first };
    cluster.set_endpoints(&[heavier]);
    let hosts = cluster.hosts();
    assert_eq!(hosts.all.len(), 1);
    assert_eq!(hosts.all[0].endpoint.weight, 5);
    assert!(Arc::ptr_eq(&hosts.all[0].connections, &before.connections));
    assert!(Arc::ptr_eq(hosts.all[0].peer.as_ref().unwrap(), before.peer.as_ref().unwrap()));
}

#[test]
fn a_successor_keeps_hosts_and_counters() {
    let old = LiveCluster::new(config(1024, 1024), true, None);
    old.set_endpoints(&[endpoint("127.0.0.1:80", "x")]);
    old.stats.rq_total.inc();
    let new = LiveCluster::new(config(5, 5), true, Some(&old));
    assert_eq!(new.hosts().all.len(), 1);
    assert_eq!(new.stats.rq_total.get(), 1);
    assert!(Arc::ptr_eq(&new.info, &old.info));
}

#[tokio::test]
async fn a_full_cluster_queues_as_many_as_allowed_and_refuses_the_rest() {
    let cluster = Arc::new(LiveCluster::new(config(1, 1), true, None));
    let held = cluster.slot().await.unwrap();
    let waiting = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.slot().await.is_ok() }
    });
    while cluster.stats.rq_pending_active.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cluster.slot().await.unwrap_err(), Overflow);
    assert_eq!(cluster.stats.rq_pending_overflow.get(), 1);
    drop(held);
    assert!(waiting.await.unwrap());
    assert_eq!(cluster.stats.rq_pending_active.get(), 0);
}

#[test]
fn destinations_are_remembered() {
    let cluster = LiveCluster::new(config(1024, 1024), true, None);
    let address = "127.0.0.1:80".parse().unwrap();
    let first = cluster.destination(address);
    assert!(Arc::ptr_eq(&first, &cluster.destination(address)));
}

#[test]
fn destinations_that_nobody_uses_are_forgotten() {
    let passthrough = Cluster { discovery: Discovery::OriginalDestination, ..(*config(1024, 1024)).clone() };
    let cluster = LiveCluster::new(Arc::new(passthrough), true, None);
    let busy = cluster.destination("127.0.0.1:80".parse().unwrap());
    busy.connections.stats.rq_active.inc();
    cluster.destination("127.0.0.2:80".parse().unwrap());
    assert_eq!(cluster.hosts().all.len(), 2);
    cluster.sweep();
    assert_eq!(cluster.hosts().all.len(), 1);
    assert!(Arc::ptr_eq(&cluster.hosts().all[0], &busy));
}
