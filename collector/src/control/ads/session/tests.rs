//! A proxy that takes its time, and refuses now and then, always ends up with what it was meant to have.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::rpc::Status;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::{Event, Session};
use crate::control::resources::{Kind, ProxyResources};

/// A mesh whose clusters, endpoints and routes carry these numbers; a cluster that is absent has none.
fn resources(clusters: &[Option<u8>], routes: u8) -> ProxyResources {
    let mut resources = ProxyResources::default();
    for (number, content) in clusters.iter().enumerate() {
        let Some(content) = content else { continue };
        let name = format!("c{number}");
        // The content of a cluster changes more rarely than that of its endpoints.
        resources.add_cluster(Cluster { name: name.clone(), alt_stat_name: (content / 4).to_string(), ..Cluster::default() });
        let endpoints = vec![LocalityLbEndpoints { priority: u32::from(*content), ..LocalityLbEndpoints::default() }];
        resources.add_endpoints(ClusterLoadAssignment { cluster_name: name, endpoints, ..ClusterLoadAssignment::default() });
    }
    resources.add_listener(Listener { name: "l".to_owned(), stat_prefix: (routes / 8).to_string(), ..Listener::default() });
    let header = vec![routes.to_string()];
    resources.add_routes(RouteConfiguration {
        name: "r".to_owned(),
        internal_only_headers: header,
        ..RouteConfiguration::default()
    });
    resources
}

#[derive(Clone, Debug)]
enum Step {
    Change {
        clusters: Vec<Option<u8>>,
        routes: u8,
    },
    /// One cluster or its endpoints.
    Nudge {
        number: usize,
        content: u8,
    },
    /// The proxy reads one response, and takes it or not.
    Read {
        refuse: bool,
    },
    /// The server reads one request.
    Arrive,
    /// The proxy waited long enough.
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (vec(proptest::option::of(0u8..16), 4), 0u8..32).prop_map(|(clusters, routes)| Step::Change { clusters, routes }),
        3 => (0usize..4, 0u8..5).prop_map(|(number, content)| Step::Nudge { number, content }),
        4 => prop::bool::weighted(0.15).prop_map(|refuse| Step::Read { refuse }),
        4 => Just(Step::Arrive),
        1 => Just(Step::Timeout),
    ]
}

/// Both ends and what is between them.
struct World {
    session: Session,
    clusters: Vec<Option<u8>>,
    routes: u8,
    resources: ProxyResources,
    to_proxy: VecDeque<DiscoveryResponse>,
    to_server: VecDeque<DiscoveryRequest>,
    /// Encoded resources that the proxy runs, by type and name.
    running: BTreeMap<Kind, BTreeMap<String, Vec<u8>>>,
    /// Version and nonce of the last response of each type.
    last: BTreeMap<Kind, (String, String)>,
    asked: BTreeSet<String>,
    refused: BTreeSet<Kind>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            session: Session::new("test".to_owned()),
            clusters: vec![Some(1), None, Some(2), None],
            routes: 0,
            resources: resources(&[Some(1), None, Some(2), None], 0),
            to_proxy: VecDeque::new(),
            to_server: VecDeque::new(),
            running: BTreeMap::new(),
            last: BTreeMap::new(),
            asked: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        world.ask(Kind::Clusters, Vec::new(), None);
        world.ask(Kind::Listeners, Vec::new(), None);
        world.ask(Kind::Routes, vec!["r".to_owned()], None);
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change { clusters, routes } => {
                (self.clusters, self.routes) = (clusters, routes);
                self.change();
            }
            Step::Nudge { number, content } => {
                self.clusters[number] = Some(content);
                self.change();
            }
            Step::Read { refuse } => {
                if let Some(response) = self.to_proxy.pop_front() {
                    self.read(response, refuse);
                }
            }
            Step::Arrive => {
                if let Some(request) = self.to_server.pop_front() {
                    let reaction = self.session.on_request(&request, &self.resources);
                    assert!(!reaction.events.iter().any(|event| matches!(event, Event::UnknownType(_))));
                    self.to_proxy.extend(reaction.responses.into_iter().map(|(_, response)| response));
                }
            }
            Step::Timeout => {
                let reaction = self.session.stop_holding(&self.resources);
                self.to_proxy.extend(reaction.responses.into_iter().map(|(_, response)| response));
            }
        }
    }

    fn change(&mut self) {
        self.resources = resources(&self.clusters, self.routes);
        let reaction = self.session.on_change(&self.resources);
        self.to_proxy.extend(reaction.responses.into_iter().map(|(_, response)| response));
    }

    /// Until nobody has anything to say any more.
    fn come_to_rest(&mut self) {
        for _ in 0..1_000 {
            if self.to_proxy.is_empty() && self.to_server.is_empty() {
                if !self.session.is_holding() {
                    return;
                }
                self.step(Step::Timeout);
            }
            self.step(Step::Arrive);
            self.step(Step::Read { refuse: false });
        }
        panic!("the two talk for ever");
    }

    fn read(&mut self, response: DiscoveryResponse, refuse: bool) {
        let kind = Kind::from_type_url(&response.type_url).unwrap();
        self.last.insert(kind, (response.version_info.clone(), response.nonce.clone()));
        let names = match kind {
            Kind::Endpoints => self.asked.iter().cloned().collect(),
            Kind::Routes => vec!["r".to_owned()],
            Kind::Clusters | Kind::Listeners => Vec::new(),
        };
        if refuse {
            self.refused.insert(kind);
            return self.ask(kind, names, Some("no"));
        }
        self.refused.remove(&kind);
        let running = self.running.entry(kind).or_default();
        if kind.is_whole() {
            running.clear();
        }
        running.extend(response.resources.into_iter().map(|any| (name_of(kind, &any.value), any.value)));
        self.ask(kind, names, None);
        if kind == Kind::Clusters {
            let wanted: BTreeSet<String> = self.running[&kind].keys().cloned().collect();
            if wanted != self.asked {
                self.asked = wanted;
                self.ask(Kind::Endpoints, self.asked.iter().cloned().collect(), None);
            }
        }
    }

    fn ask(&mut self, kind: Kind, resource_names: Vec<String>, refusal: Option<&str>) {
        let (version_info, response_nonce) = self.last.get(&kind).cloned().unwrap_or_default();
        let error_detail = refusal.map(|message| Status { code: 13, message: message.to_owned(), details: Vec::new() });
        let type_url = kind.type_url().to_owned();
        let request = DiscoveryRequest {
            version_info,
            response_nonce,
            resource_names,
            type_url,
            error_detail,
            ..DiscoveryRequest::default()
        };
        self.to_server.push_back(request);
    }
}

fn name_of(kind: Kind, bytes: &[u8]) -> String {
    match kind {
        Kind::Clusters => Cluster::decode(bytes).unwrap().name,
        Kind::Endpoints => ClusterLoadAssignment::decode(bytes).unwrap().cluster_name,
        Kind::Listeners => Listener::decode(bytes).unwrap().name,
        Kind::Routes => RouteConfiguration::decode(bytes).unwrap().name,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_proxy_ends_up_with_what_it_is_meant_to_have(steps in vec(step(), 0..80), number in 0usize..4, content in 0u8..5) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.come_to_rest();
        // Whatever was refused before is given again with the next change, however small.
        world.step(Step::Nudge { number, content });
        world.come_to_rest();
        for kind in Kind::ALL {
            if world.refused.contains(&kind) {
                continue;
            }
            let mut meant: BTreeMap<String, Vec<u8>> =
                world.resources.set(kind).iter().map(|(name, resource)| (name.clone(), resource.any.value.clone())).collect();
            let mut running = world.running.get(&kind).cloned().unwrap_or_default();
            if kind == Kind::Endpoints {
                // A proxy that refused the clusters does not ask for all of their endpoints.
                meant.retain(|name, _| world.asked.contains(name));
                running.retain(|name, _| meant.contains_key(name));
            }
            prop_assert_eq!(running, meant, "{:?}", kind);
        }
        prop_assert!(world.session.is_settled() || !world.refused.is_empty());
    }
}

/// The proxy of [`World`], at rest, refuses one change of endpoints and is then given another.
fn refuse_endpoints_then_nudge(answers_before_next: bool) -> World {
    let mut world = World::new();
    world.come_to_rest();
    world.step(Step::Nudge { number: 0, content: 2 });
    if answers_before_next {
        world.step(Step::Read { refuse: true });
        world.step(Step::Arrive);
        world.step(Step::Nudge { number: 2, content: 3 });
    } else {
        world.step(Step::Nudge { number: 2, content: 3 });
        world.step(Step::Read { refuse: true });
    }
    world.come_to_rest();
    world
}

#[test]
fn what_was_refused_comes_again_with_the_next_change() {
    for answers_before_next in [true, false] {
        let world = refuse_endpoints_then_nudge(answers_before_next);
        let meant: BTreeMap<String, Vec<u8>> = world
            .resources
            .set(Kind::Endpoints)
            .iter()
            .map(|(name, resource)| (name.clone(), resource.any.value.clone()))
            .collect();
        assert_eq!(world.running[&Kind::Endpoints], meant, "{answers_before_next}");
        assert!(world.session.is_settled());
    }
}
