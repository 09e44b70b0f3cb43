//! Updates whole or not at all, identity of what stays, and no panic whatever comes.

use proptest::prelude::*;

use super::*;

fn assignment(name: &str) -> Any {
    let message = endpoint::ClusterLoadAssignment { cluster_name: name.into(), ..Default::default() };
    Any { type_url: Kind::Endpoints.type_url().into(), value: message.encode_to_vec() }
}

fn eds_cluster(name: &str) -> Any {
    let kind = cluster::cluster::DiscoveryType::Eds as i32;
    let message = cluster::Cluster {
        name: name.into(),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(kind)),
        ..Default::default()
    };
    Any { type_url: Kind::Cluster.type_url().into(), value: message.encode_to_vec() }
}

fn accept(world: &mut World, kind: Kind, version: &str, resources: Vec<Any>) -> Result<(), String> {
    world.accept(kind, version, resources, &mut Notes::default())
}

#[test]
fn clusters_are_replaced_as_a_set_and_endpoints_one_by_one() {
    let mut world = World::default();
    accept(&mut world, Kind::Cluster, "1", vec![eds_cluster("a"), eds_cluster("b")]).unwrap();
    accept(&mut world, Kind::Endpoints, "1", vec![assignment("a"), assignment("b")]).unwrap();
    accept(&mut world, Kind::Endpoints, "2", vec![assignment("a")]).unwrap();
    assert_eq!(world.assignments.keys().collect::<Vec<_>>(), ["a", "b"]);
    accept(&mut world, Kind::Cluster, "2", vec![eds_cluster("b")]).unwrap();
    assert_eq!(world.clusters.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(world.endpoint_names(), ["b".to_owned()].into());
    assert_eq!(world.assignments.keys().collect::<Vec<_>>(), ["b"], "what nobody names is forgotten");
}

#[test]
fn what_comes_unchanged_keeps_its_identity_and_version() {
    let mut world = World::default();
    accept(&mut world, Kind::Cluster, "1", vec![eds_cluster("a")]).unwrap();
    let before = world.clusters["a"].clone();
    accept(&mut world, Kind::Cluster, "2", vec![eds_cluster("a"), eds_cluster("b")]).unwrap();
    assert!(Arc::ptr_eq(&world.clusters["a"].value, &before.value));
    assert_eq!(&*world.clusters["a"].version, "1");
    assert_eq!(&*world.clusters["b"].version, "2");
    assert_eq!(world.versions[&Kind::Cluster], "2");
}

#[test]
fn one_mistake_refuses_the_whole_update() {
    let mut world = World::default();
    accept(&mut world, Kind::Cluster, "1", vec![eds_cluster("a")]).unwrap();
    let mut wrong = eds_cluster("c");
    wrong.type_url = Kind::Listener.type_url().into();
    let error = accept(&mut world, Kind::Cluster, "2", vec![eds_cluster("b"), eds_cluster("b"), wrong]).unwrap_err();
    assert_eq!(
        error,
        "duplicate cds `b`; a resource of type `type.googleapis.com/envoy.config.listener.v3.Listener` \
         in an answer about `type.googleapis.com/envoy.config.cluster.v3.Cluster`"
    );
    assert_eq!(world.clusters.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(world.versions[&Kind::Cluster], "1");
}

#[test]
fn a_duplicate_of_what_came_unchanged_is_a_mistake_too() {
    let mut world = World::default();
    accept(&mut world, Kind::Cluster, "1", vec![eds_cluster("a")]).unwrap();
    let error = accept(&mut world, Kind::Cluster, "2", vec![eds_cluster("a"), eds_cluster("a")]).unwrap_err();
    assert_eq!(error, "duplicate cds `a`");
    assert_eq!(world.versions[&Kind::Cluster], "1");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(value in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..4) {
        let kind = Kind::ALL[kind];
        let resource = Any { type_url: kind.type_url().into(), value };
        let _ = accept(&mut World::default(), kind, "1", vec![resource]);
    }

    #[test]
    fn mangled_resources_do_not_either(at in 0usize..60, byte in any::<u8>()) {
        let mut resource = eds_cluster("outbound|9080||reviews.bookinfo.svc.cluster.local");
        if let Some(target) = resource.value.get_mut(at) {
            *target = byte;
        }
        let _ = accept(&mut World::default(), Kind::Cluster, "1", vec![resource]);
    }
}
