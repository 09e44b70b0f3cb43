//! A VirtualService's HTTP rules as routes, in their order.

use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::{Decorator, Route};
use envoy_types::pb::google::protobuf::Any;
use sidelight_mesh::config::{ConfigObject, HttpMatch, HttpRoute, VirtualService};
use sidelight_mesh::hosts;
use sidelight_mesh::registry::Service;
use sidelight_mesh::route::{Scope, http_routes};

use super::Scene;
use super::actions::{self, Destinations};
use super::clusters::cluster_name;
use super::connection_manager::{CORS_FILTER, FAULT_FILTER};
use super::cors::cors_policy;
use super::faults::fault;
use super::header_operations::HeaderChanges;
use super::matches::{any_path, operation_path, route_match};
use super::metadata::config_metadata;
use crate::control::wire::ordered;

/// Routes that one VirtualService may have at one place; what is beyond is left out.
pub(super) const ROUTES_MAX: usize = 10_000;

/// A VirtualService and the object that it is the text of.
pub(super) type Found<'a> = (&'a ConfigObject, &'a VirtualService);

/// One rule, with all that is needed to find what it points at.
pub(super) struct Rule<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) found: Found<'a>,
    pub(super) http: &'a HttpRoute,
    pub(super) scope: Scope<'a>,
}

impl Rule<'_> {
    pub(super) fn namespace(&self) -> &str {
        &self.found.0.object.metadata.namespace
    }

    pub(super) fn full_host(&self, host: &str) -> String {
        hosts::resolve(host, self.namespace(), self.scene.domain())
    }
}

/// Empty when nothing of it holds for this proxy, port and gateway.
pub(super) fn virtual_service_routes(scene: &Scene, found: Found, scope: Scope) -> Vec<Route> {
    let mut routes = Vec::new();
    for http in http_routes(scene.config(), found.0, found.1) {
        let rule = Rule { scene, found, http: &http, scope };
        for condition in conditions(&rule) {
            if routes.len() >= ROUTES_MAX {
                return routes;
            }
            routes.extend(route(&rule, condition));
            // What stands behind it would never be reached.
            if condition.is_none_or(HttpMatch::is_catch_all) {
                return routes;
            }
        }
    }
    routes
}

/// Everything to the service itself.
pub(super) fn default_route(scene: &Scene, service: &Service, port: u16) -> Route {
    let destinations = Destinations::Service { cluster: cluster_name(port, "", &service.fqdn) };
    let hashing = actions::hashing_of(scene, &service.fqdn, port, "");
    Route {
        name: "default".to_owned(),
        r#match: Some(any_path()),
        decorator: Some(Decorator { operation: format!("{}:{port}/*", service.fqdn), propagate: None }),
        action: Some(Action::Route(actions::default_action(destinations, hashing))),
        ..Route::default()
    }
}

/// `None` stands for "every request".
fn conditions<'a>(rule: &Rule<'a>) -> Vec<Option<&'a HttpMatch>> {
    if rule.http.matches.is_empty() {
        return vec![None];
    }
    let holding = rule.http.matches.iter().filter(|condition| rule.scope.admits(condition, rule.namespace()));
    holding.map(Some).collect()
}

/// `None` for a rule that says nothing to do with a request.
fn route(rule: &Rule, condition: Option<&HttpMatch>) -> Option<Route> {
    let http = rule.http;
    let mut route = Route {
        name: route_name(http, condition),
        r#match: Some(route_match(condition)),
        metadata: Some(config_metadata(&rule.found.0.object)),
        typed_per_filter_config: ordered(filter_configs(http)),
        stat_prefix: condition.map(|c| c.stat_prefix.clone()).unwrap_or_default(),
        ..Route::default()
    };
    let mut changes = HeaderChanges::of(http.headers.as_ref());
    if let Some(redirect) = &http.redirect {
        route.action = Some(Action::Redirect(actions::redirect(redirect, rule.scope.port)));
    } else if let Some(response) = &http.direct_response {
        route.action = Some(Action::DirectResponse(actions::direct_response(response)));
    } else {
        let forward = actions::forward(rule, &mut changes)?;
        let operation = match &forward.only_cluster {
            Some((host, port)) => format!("{host}:{port}{}", operation_path(condition)),
            None => {
                let name = &rule.found.0.object.metadata.name;
                format!("{name}:{}{}", rule.scope.port, operation_path(condition))
            }
        };
        route.decorator = Some(Decorator { operation, propagate: None });
        route.action = Some(Action::Route(forward.action));
    }
    changes.write_to(&mut route);
    Some(route)
}

fn route_name(http: &HttpRoute, condition: Option<&HttpMatch>) -> String {
    match condition {
        Some(condition) if !condition.name.is_empty() => format!("{}.{}", http.name, condition.name),
        _ => http.name.clone(),
    }
}

fn filter_configs(http: &HttpRoute) -> Vec<(String, Any)> {
    let fault = http.fault.as_ref().and_then(fault).map(|config| (FAULT_FILTER.to_owned(), config));
    let cors = http.cors_policy.as_ref().map(|policy| (CORS_FILTER.to_owned(), cors_policy(policy)));
    fault.into_iter().chain(cors).collect()
}
