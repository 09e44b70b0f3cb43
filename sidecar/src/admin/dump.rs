//! `/config_dump`: everything that was accepted, in the sections and the order that Envoy writes.

use serde_json::{Value, json};

use super::query::Query;
use crate::config::cluster::{Cluster, Discovery};
use crate::config::dump::{Entry, cluster, endpoints, listener, routes, timestamp};
use crate::config::listener::Listener;
use crate::shared::Shared;
use crate::xds::Kind;
use crate::xds::world::{Accepted, Table, World};

const PREFIX: &str = "type.googleapis.com/envoy.admin.v3.";

pub fn config_dump(shared: &Shared, query: &Query) -> Value {
    let world = shared.world.load();
    let version = |kind| world.versions.get(&kind).cloned().unwrap_or_default();
    let with_endpoints = query.has("include_eds");
    let (warming, active) = clusters(&world);
    let mut sections = vec![
        section("BootstrapConfigDump", json!({"bootstrap": shared.bootstrap.document})),
        section(
            "ClustersConfigDump",
            json!({
                "version_info": version(Kind::Cluster),
                "static_clusters": static_clusters(shared),
                "dynamic_active_clusters": active,
                "dynamic_warming_clusters": warming,
            }),
        ),
    ];
    if with_endpoints {
        sections.push(section(
            "EndpointsConfigDump",
            json!({"dynamic_endpoint_configs":
                list(&world.assignments, "endpoint_config", endpoints)}),
        ));
    }
    sections.push(section(
        "ListenersConfigDump",
        json!({
            "version_info": version(Kind::Listener),
            "dynamic_listeners": listeners(&world),
        }),
    ));
    sections.push(section("ScopedRoutesConfigDump", json!({})));
    let inline: Vec<_> = world
        .listeners
        .values()
        .filter_map(|accepted| {
            let table = crate::config::dump::inline_routes(&accepted.original)?;
            Some(json!({"route_config": table, "last_updated": timestamp(accepted.updated)}))
        })
        .collect();
    sections.push(section(
        "RoutesConfigDump",
        json!({
            "static_route_configs": inline,
            "dynamic_route_configs": list(&world.routes, "route_config", routes),
        }),
    ));
    sections.push(section("SecretsConfigDump", json!({})));
    json!({"configs": masked(sections, query.get("mask"))})
}

fn section(name: &str, mut fields: Value) -> Value {
    fields["@type"] = format!("{PREFIX}{name}").into();
    fields
}

/// Only the fields that a mask names, and only the sections that have one of them.
fn masked(sections: Vec<Value>, mask: Option<&str>) -> Vec<Value> {
    let Some(mask) = mask else { return sections };
    let wanted: Vec<&str> = mask.split(',').map(|path| path.split('.').next().unwrap_or(path).trim()).collect();
    sections
        .into_iter()
        .filter_map(|section| {
            let Value::Object(fields) = section else {
                return None;
            };
            let kept: serde_json::Map<_, _> =
                fields.into_iter().filter(|(name, _)| name == "@type" || wanted.contains(&name.as_str())).collect();
            (kept.len() > 1).then_some(Value::Object(kept))
        })
        .collect()
}

fn list<T>(table: &Table<T>, field: &str, to_json: Entry) -> Vec<Value> {
    table.values().map(|accepted| state(accepted, field, to_json)).collect()
}

fn state<T>(accepted: &Accepted<T>, field: &str, to_json: Entry) -> Value {
    let mut state = json!({
        "version_info": &*accepted.version,
        "last_updated": timestamp(accepted.updated),
    });
    state[field] = to_json(&accepted.original);
    state
}

/// Those that wait for their endpoints, and the others.
fn clusters(world: &World) -> (Vec<Value>, Vec<Value>) {
    let waits = |accepted: &&Accepted<Cluster>| match &accepted.value.discovery {
        Discovery::Eds(name) => !world.assignments.contains_key(name),
        _ => false,
    };
    let (warming, active): (Vec<_>, Vec<_>) = world.clusters.values().partition(waits);
    let write = |list: Vec<&Accepted<Cluster>>| list.into_iter().map(|c| state(c, "cluster", cluster)).collect();
    (write(warming), write(active))
}

/// One that waits for its routes is warming.
fn listeners(world: &World) -> Vec<Value> {
    let warms = |accepted: &Accepted<Listener>| accepted.value.rds_name().is_some_and(|name| !world.routes.contains_key(name));
    let write = |(name, accepted): (&String, &Accepted<Listener>)| {
        let which = if warms(accepted) { "warming_state" } else { "active_state" };
        json!({"name": name, which: state(accepted, "listener", listener)})
    };
    world.listeners.iter().map(write).collect()
}

fn static_clusters(shared: &Shared) -> Value {
    let document = &shared.bootstrap.document;
    let clusters = document["static_resources"]["clusters"].as_array();
    let clusters = clusters.map(Vec::as_slice).unwrap_or_default();
    clusters.iter().map(|cluster| json!({ "cluster": cluster })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_its_fields_and_drops_other_sections() {
        let sections = vec![
            section("BootstrapConfigDump", json!({"bootstrap": {}})),
            section("ClustersConfigDump", json!({"version_info": "1", "static_clusters": [], "dynamic_active_clusters": [1]})),
        ];
        let mask = Some("dynamic_active_clusters,static_clusters");
        assert_eq!(
            masked(sections, mask),
            [json!({
                "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
                "static_clusters": [],
                "dynamic_active_clusters": [1],
            })]
        );
    }
}
