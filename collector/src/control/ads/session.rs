//! The state-of-the-world protocol of one stream, without I/O: what to answer to a request, what to push on a change.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::ControlPlane;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use crate::control::resources::{Kind, ProxyResources, Resource, version_of};

/// Names that one subscription may hold.
pub const NAMES_MAX: usize = 20_000;

/// What a request meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Event {
    /// First request of the type on this stream.
    Subscribed(Kind),
    Accepted {
        kind: Kind,
        version: String,
    },
    Refused {
        kind: Kind,
        error: String,
    },
    /// The proxy asks for less than before; what it has goes by this version now.
    Narrowed {
        kind: Kind,
        version: String,
    },
    /// Answer to something older than our last response: ignored.
    Stale(Kind),
    /// A type that is not handed out here.
    UnknownType(String),
    TooManyNames(Kind),
}

/// What the stream has to do.
#[derive(Debug, Default)]
pub(in crate::control) struct Reaction {
    pub(in crate::control) events: Vec<Event>,
    pub(in crate::control) responses: Vec<(Kind, DiscoveryResponse)>,
}

/// All subscriptions of one stream.
#[derive(Debug)]
pub(in crate::control) struct Session {
    identifier: String,
    nonces: u64,
    subscriptions: BTreeMap<Kind, Subscription>,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Empty for the whole set.
    names: BTreeSet<String>,
    nonce: String,
    version: String,
    /// Whether the last response has been answered.
    answered: bool,
    /// Hash of each resource as it was last sent; forgotten when it was refused.
    sent: BTreeMap<String, blake3::Hash>,
}

impl Session {
    pub(in crate::control) fn new(identifier: String) -> Self {
        Self { identifier, nonces: 0, subscriptions: BTreeMap::new() }
    }

    pub(in crate::control) fn on_request(&mut self, request: &DiscoveryRequest, resources: &ProxyResources) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(kind) = Kind::from_type_url(&request.type_url) else {
            reaction.events.push(Event::UnknownType(request.type_url.clone()));
            return reaction;
        };
        if request.resource_names.len() > NAMES_MAX {
            reaction.events.push(Event::TooManyNames(kind));
            return reaction;
        }
        let names = if kind.is_whole() { BTreeSet::new() } else { request.resource_names.iter().cloned().collect() };
        match self.subscriptions.get_mut(&kind) {
            None => {
                // Nonce and version, if any, are those of a former stream.
                self.subscriptions.insert(kind, Subscription { names, ..Subscription::default() });
                reaction.events.push(Event::Subscribed(kind));
                self.send_all(kind, resources, &mut reaction);
            }
            Some(subscription) if request.response_nonce != subscription.nonce => reaction.events.push(Event::Stale(kind)),
            Some(subscription) => {
                let first_answer = !std::mem::replace(&mut subscription.answered, true);
                let added = names.difference(&subscription.names).next().is_some();
                let removed = subscription.names.difference(&names).next().is_some();
                subscription.names = names;
                let repeated = !first_answer && request.error_detail.is_none();
                if first_answer {
                    subscription.note_answer(kind, request, &mut reaction);
                }
                if added || (repeated && !removed) {
                    self.send_all(kind, resources, &mut reaction);
                } else if removed {
                    self.narrow(kind, resources, &mut reaction);
                }
            }
        }
        reaction
    }

    /// Pushes what differs from what was last sent, in the order that never leaves a reference dangling.
    pub(in crate::control) fn on_change(&mut self, resources: &ProxyResources) -> Reaction {
        let mut reaction = Reaction::default();
        let mut warming = None;
        for kind in Kind::ALL {
            let Some(subscription) = self.subscriptions.get(&kind) else { continue };
            if warming == Some(kind) {
                // A proxy that took a new cluster waits for its endpoints, even when they are what they were.
                self.send_all(kind, resources, &mut reaction);
            } else if subscription.version_in(kind, resources) != subscription.version {
                self.send_changed(kind, resources, &mut reaction);
                warming = kind.warms();
            }
        }
        reaction
    }

    /// Answers with everything that is subscribed, unknown names included.
    fn send_all(&mut self, kind: Kind, resources: &ProxyResources, reaction: &mut Reaction) {
        let Some(subscription) = self.subscriptions.get(&kind) else { return };
        let mut all: Vec<(String, Resource)> = subscription.known(kind, resources).map(|(n, r)| (n.clone(), r.clone())).collect();
        for name in &subscription.names {
            if !resources.set(kind).contains_key(name) {
                all.extend(kind.nothing(name).map(|nothing| (name.clone(), nothing)));
            }
        }
        self.send(kind, all, resources, reaction);
    }

    /// Leaves out what the proxy has already, where leaving out does not delete.
    fn send_changed(&mut self, kind: Kind, resources: &ProxyResources, reaction: &mut Reaction) {
        let Some(subscription) = self.subscriptions.get(&kind) else { return };
        let mut changed: Vec<(String, Resource)> = subscription
            .known(kind, resources)
            .filter(|(name, resource)| kind.is_whole() || subscription.sent.get(*name) != Some(&resource.hash))
            .map(|(name, resource)| (name.clone(), resource.clone()))
            .collect();
        // What is gone is emptied: the proxy would keep its last state for ever.
        for name in subscription.names.iter().filter(|name| !resources.set(kind).contains_key(*name)) {
            let gone = kind.nothing(name).filter(|nothing| subscription.sent.get(name) != Some(&nothing.hash));
            changed.extend(gone.map(|nothing| (name.clone(), nothing)));
        }
        self.send(kind, changed, resources, reaction);
    }

    fn send(&mut self, kind: Kind, all: Vec<(String, Resource)>, resources: &ProxyResources, reaction: &mut Reaction) {
        self.nonces += 1;
        let nonce = format!("{}-{}", kind.short(), self.nonces);
        let Some(subscription) = self.subscriptions.get_mut(&kind) else { return };
        subscription.version = subscription.version_in(kind, resources);
        subscription.nonce.clone_from(&nonce);
        subscription.answered = false;
        if kind.is_whole() {
            subscription.sent.clear();
        }
        subscription.sent.extend(all.iter().map(|(name, resource)| (name.clone(), resource.hash)));
        let response = DiscoveryResponse {
            version_info: subscription.version.clone(),
            resources: all.into_iter().map(|(_, resource)| resource.any).collect(),
            type_url: kind.type_url().to_owned(),
            nonce,
            control_plane: Some(ControlPlane { identifier: self.identifier.clone() }),
            ..DiscoveryResponse::default()
        };
        reaction.responses.push((kind, response));
    }

    fn narrow(&mut self, kind: Kind, resources: &ProxyResources, reaction: &mut Reaction) {
        let Some(subscription) = self.subscriptions.get_mut(&kind) else { return };
        let Subscription { names, sent, .. } = subscription;
        sent.retain(|name, _| names.contains(name));
        // A push that is still due keeps its old version, so that it is not forgotten.
        let up_to_date = subscription.known(kind, resources).all(|(n, r)| subscription.sent.get(n) == Some(&r.hash));
        if up_to_date {
            subscription.version = subscription.version_in(kind, resources);
            reaction.events.push(Event::Narrowed { kind, version: subscription.version.clone() });
        }
    }
}

impl Subscription {
    fn known<'a>(&'a self, kind: Kind, resources: &'a ProxyResources) -> impl Iterator<Item = (&'a String, &'a Resource)> {
        resources.set(kind).iter().filter(move |(name, _)| kind.is_whole() || self.names.contains(*name))
    }

    fn version_in(&self, kind: Kind, resources: &ProxyResources) -> String {
        version_of(self.known(kind, resources))
    }

    fn note_answer(&mut self, kind: Kind, request: &DiscoveryRequest, reaction: &mut Reaction) {
        match &request.error_detail {
            Some(status) => {
                // Sent again in whole with the next change; until then a proxy is not bothered twice with the same.
                self.sent.clear();
                reaction.events.push(Event::Refused { kind, error: status.message.clone() });
            }
            None => reaction.events.push(Event::Accepted { kind, version: self.version.clone() }),
        }
    }
}
