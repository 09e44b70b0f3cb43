//! The state-of-the-world protocol of one stream, without I/O: what to answer to a request, what to push on a change.
//!
//! A change is pushed in two steps, so that no route ever points at a cluster that is not ready: clusters and endpoints
//! first, listeners and routes once the proxy has answered for those.

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

impl Event {
    /// `None` for a type that is not handed out.
    pub(in crate::control) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Accepted { kind, .. } | Self::Refused { kind, .. } | Self::Narrowed { kind, .. } => Some(*kind),
            Self::Subscribed(kind) | Self::Stale(kind) | Self::TooManyNames(kind) => Some(*kind),
            Self::UnknownType(_) => None,
        }
    }

    pub(in crate::control) fn word(&self) -> &'static str {
        match self {
            Self::Subscribed(_) => "subscribed",
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Narrowed { .. } => "narrowed",
            Self::Stale(_) => "stale",
            Self::UnknownType(_) => "unknown_type",
            Self::TooManyNames(_) => "too_many_names",
        }
    }
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
    /// Listeners and routes wait for the proxy to have its clusters.
    holding: bool,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Empty for the whole set.
    names: BTreeSet<String>,
    nonce: String,
    version: String,
    /// Whether the last response has been answered.
    answered: bool,
    refused: bool,
    /// An older response was refused while a newer one, which does not repeat it, was under way already.
    incomplete: bool,
    /// Hash of each resource as it was last sent; forgotten when it was refused.
    sent: BTreeMap<String, blake3::Hash>,
}

impl Session {
    pub(in crate::control) fn new(identifier: String) -> Self {
        Self { identifier, nonces: 0, subscriptions: BTreeMap::new(), holding: false }
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
            Some(subscription) if request.response_nonce != subscription.nonce => {
                subscription.incomplete |= request.error_detail.is_some() && !kind.is_whole();
                reaction.events.push(Event::Stale(kind));
            }
            Some(_) => self.on_current(kind, request, names, resources, &mut reaction),
        }
        if self.holding && self.has_its_clusters(resources) {
            self.push_references(resources, &mut reaction);
        }
        reaction
    }

    /// Pushes what differs from what was last sent.
    pub(in crate::control) fn on_change(&mut self, resources: &ProxyResources) -> Reaction {
        let mut reaction = Reaction::default();
        if self.is_due(Kind::Clusters, resources) {
            self.send_changed(Kind::Clusters, resources, &mut reaction);
            // A proxy that took a new cluster waits for its endpoints, even when they are what they were.
            self.send_all(Kind::Endpoints, resources, &mut reaction);
            self.holding = true;
        } else if self.is_due(Kind::Endpoints, resources) {
            self.send_changed(Kind::Endpoints, resources, &mut reaction);
        }
        if !self.holding {
            self.push_references(resources, &mut reaction);
        }
        reaction
    }

    /// Pushes what was held back, answered or not.
    pub(in crate::control) fn stop_holding(&mut self, resources: &ProxyResources) -> Reaction {
        let mut reaction = Reaction::default();
        if self.holding {
            self.push_references(resources, &mut reaction);
        }
        reaction
    }

    pub(in crate::control) fn is_holding(&self) -> bool {
        self.holding
    }

    /// Whether the proxy runs exactly what it was sent last, of every type.
    pub(in crate::control) fn is_settled(&self) -> bool {
        !self.holding && self.subscriptions.values().all(|subscription| subscription.answered && !subscription.refused)
    }

    /// The nonce is that of our last response.
    fn on_current(
        &mut self,
        kind: Kind,
        request: &DiscoveryRequest,
        names: BTreeSet<String>,
        resources: &ProxyResources,
        reaction: &mut Reaction,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&kind) else { return };
        let first_answer = !std::mem::replace(&mut subscription.answered, true);
        let added = names.difference(&subscription.names).next().is_some();
        let removed = subscription.names.difference(&names).next().is_some();
        subscription.names = names;
        // Envoy asks again, word for word, when it has to warm a cluster anew.
        let asked_again = !first_answer && !kind.is_whole() && request.error_detail.is_none();
        let incomplete = std::mem::take(&mut subscription.incomplete);
        if first_answer {
            subscription.note_answer(kind, request, reaction);
        }
        if added || incomplete || (asked_again && !removed) {
            self.send_all(kind, resources, reaction);
        } else if removed {
            self.narrow(kind, resources, reaction);
        }
    }

    fn is_due(&self, kind: Kind, resources: &ProxyResources) -> bool {
        self.subscriptions.get(&kind).is_some_and(|subscription| subscription.version_in(kind, resources) != subscription.version)
    }

    /// Clusters taken, and endpoints of all of them asked for and taken.
    fn has_its_clusters(&self, resources: &ProxyResources) -> bool {
        let answered = |kind| self.subscriptions.get(&kind).is_none_or(|subscription| subscription.answered);
        let endpoints = self.subscriptions.get(&Kind::Endpoints);
        let asked = endpoints.is_none_or(|s| resources.set(Kind::Endpoints).keys().all(|name| s.names.contains(name)));
        answered(Kind::Clusters) && answered(Kind::Endpoints) && asked
    }

    /// What refers to clusters and endpoints.
    fn push_references(&mut self, resources: &ProxyResources, reaction: &mut Reaction) {
        self.holding = false;
        for kind in [Kind::Listeners, Kind::Routes] {
            if self.is_due(kind, resources) {
                self.send_changed(kind, resources, reaction);
            }
        }
    }

    /// Answers with everything that is subscribed, unknown names included.
    fn send_all(&mut self, kind: Kind, resources: &ProxyResources, reaction: &mut Reaction) {
        let Some(subscription) = self.subscriptions.get(&kind) else { return };
        let known = subscription.known(kind, resources).map(|(name, resource)| (name.clone(), resource.clone()));
        let all = known.chain(subscription.unknown(kind, resources)).collect();
        self.send(kind, all, resources, reaction);
    }

    /// Leaves out what the proxy has already, where leaving out does not delete.
    fn send_changed(&mut self, kind: Kind, resources: &ProxyResources, reaction: &mut Reaction) {
        let Some(subscription) = self.subscriptions.get(&kind) else { return };
        let known = subscription.known(kind, resources).map(|(name, resource)| (name.clone(), resource.clone()));
        // What is gone is emptied: the proxy would keep its last state for ever.
        let mut all: Vec<(String, Resource)> = known.chain(subscription.unknown(kind, resources)).collect();
        if !kind.is_whole() {
            all.retain(|(name, resource)| subscription.sent.get(name) != Some(&resource.hash));
        }
        self.send(kind, all, resources, reaction);
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

    /// Empty resources for names that nothing is known of, so that whoever waits for them can go on.
    fn unknown<'a>(&'a self, kind: Kind, resources: &'a ProxyResources) -> impl Iterator<Item = (String, Resource)> + 'a {
        let names = self.names.iter().filter(move |name| !resources.set(kind).contains_key(*name));
        names.filter_map(move |name| Some((name.clone(), kind.nothing(name)?)))
    }

    fn version_in(&self, kind: Kind, resources: &ProxyResources) -> String {
        version_of(self.known(kind, resources))
    }

    fn note_answer(&mut self, kind: Kind, request: &DiscoveryRequest, reaction: &mut Reaction) {
        self.refused = request.error_detail.is_some();
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

#[cfg(test)]
mod tests;
