//! Checks whether the objects of the mesh make sense, alone and together.
//!
//! Errors refuse an object, warnings and remarks are stored with it. So only what would break traffic for sure is an
//! error; what depends on workloads, which come and go, is a warning even where Kiali calls it an error (marked `*`).
//!
//! | Code | Severity | Object | What |
//! | --- | --- | --- | --- |
//! | SL0001 … SL0008 | error | any | shape of the text, see [`crate::config::parse_documents`] |
//! | SL0009 | error | any | name or namespace that Kubernetes would refuse |
//! | SL0003, SL0004 | error | any | value out of range; something required is missing |
//! | SL0010 | error | VirtualService, DestinationRule, Gateway | host that is no name, address or wildcard |
//! | SL0011 | error | VirtualService | regular expression does not compile |
//! | SL0012 | error | any | fields that exclude each other |
//! | SL0101 | error | VirtualService | negative weight |
//! | SL0102 | error | VirtualService | all of several weights are 0 |
//! | SL0103 | warning | VirtualService | weights do not add up to 100 (they are shares of their sum) |
//! | SL0104 | warning | VirtualService | rule or match that no request can reach |
//! | SL0105 | warning | VirtualService | retries end before they are used up, because of the timeout |
//! | SL0106 | error; warning when no port is named | VirtualService, DestinationRule | port that the service does not have |
//! | SL0107 | warning | Service | selector matches no workload |
//! | SL0108 | warning | VirtualService | unknown retry condition |
//! | SL0109 | warning | VirtualService | no server of the gateway takes the host |
//! | SL0110 | error | VirtualService | delegate that does not exist |
//! | SL0111 | warning | VirtualService | path that cannot match, because it does not begin with `/` |
//! | SL0112 | warning | any | the change breaks another object |
//! | SL0201 | error | DestinationRule | the same subset twice |
//! | SL0202 | error | DestinationRule, Service | the same port twice |
//! | SL0203 | warning | DestinationRule, Service | accepted, but without effect |
//! | SL0301 | info | any | old form that has a successor |
//! | KIA0005 | warning* | VirtualService, DestinationRule | `exportTo` names an unknown namespace |
//! | KIA0201 | warning | DestinationRule | several rules for the same host and subset |
//! | KIA0202 | warning; error if only registered hosts may be called | DestinationRule | host not found |
//! | KIA0203 | warning*; info when no VirtualService uses the subset | DestinationRule | subset matches no workload |
//! | KIA0209 | warning | DestinationRule | subset without labels |
//! | KIA0301 | warning | Gateway | several servers for the same host and port |
//! | KIA0302 | warning | Gateway | selector matches no workload |
//! | KIA0601 | warning* | Service, Gateway | port name does not begin with a protocol |
//! | KIA0602 | warning* | Service | unknown `appProtocol` |
//! | KIA0701 | warning | Service | no workload has the target port |
//! | KIA1101 | error; warning for hosts outside the mesh | VirtualService | destination not found |
//! | KIA1102 | error | VirtualService | gateway not found |
//! | KIA1104 | warning | VirtualService | weight on the only destination |
//! | KIA1105 | warning | VirtualService | the same destination twice |
//! | KIA1106 | warning; info where the rules are joined | VirtualService | several for one host |
//! | KIA1107 | error (Kiali: warning; but every request is answered `503 NC`) | VirtualService | subset not defined |
//! | KIA1108 | info | VirtualService | old way to name a gateway |

mod common;
mod destination;
mod destination_rule;
mod gateway;
mod http_match;
mod http_route;
mod mesh;
mod report;
mod service;
mod virtual_service;
mod weights;

use std::collections::BTreeMap;

use mesh::Mesh;
use report::Report;

use crate::codes;
use crate::config::{ConfigObject, FINDINGS_MAX, MeshConfig, ObjectKey, ParsedObject, Spec, parse_documents};
use crate::finding::{Finding, Severity};
use crate::registry::Registry;

/// Checks every object. Lines are those of each object's own text; objects without findings are listed too.
#[must_use]
pub fn validate(config: &MeshConfig, registry: &Registry) -> BTreeMap<ObjectKey, Vec<Finding>> {
    let mesh = Mesh::new(config, registry);
    config.iter().map(|(key, object)| (key.clone(), check(&mesh, object))).collect()
}

/// Checks one stored object. Lines are those of its own text.
#[must_use]
pub fn validate_object(key: &ObjectKey, config: &MeshConfig, registry: &Registry) -> Vec<Finding> {
    let mesh = Mesh::new(config, registry);
    config.get(key).map(|object| check(&mesh, object)).unwrap_or_default()
}

/// What a text would be, were it saved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextReport {
    /// Objects whose shape is right, in the order of the text.
    pub objects: Vec<ParsedObject>,
    /// Findings about each of `objects`, with lines of the object's own text.
    pub by_object: Vec<Vec<Finding>>,
    /// All findings, with lines of the whole text, in the order of the text.
    pub findings: Vec<Finding>,
    /// The configuration as it would be.
    pub config: MeshConfig,
}

impl TextReport {
    /// Whether anything speaks against saving.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Checks a text against everything that is stored: its objects take the place of those with the same names.
#[must_use]
pub fn validate_text(text: &str, default_namespace: &str, config: &MeshConfig, registry: &Registry) -> TextReport {
    let parsed = parse_documents(text, default_namespace);
    let mut after = config.clone();
    for object in &parsed.objects {
        // A new object is younger than all others.
        let created_at_ms = config.get(&object.object.key()).map_or(i64::MAX, |old| old.created_at_ms);
        after.insert(object.clone().into_config(created_at_ms));
    }
    let registry_after = registry.with_services_of(&after);
    let mesh = Mesh::new(&after, &registry_after);
    let mut by_object: Vec<Vec<Finding>> = Vec::new();
    let mut findings = parsed.findings;
    for object in &parsed.objects {
        let about = after.get(&object.object.key()).map(|stored| check(&mesh, stored)).unwrap_or_default();
        let mut shifted = about.clone();
        object.shift(&mut shifted);
        findings.extend(shifted);
        by_object.push(about);
    }
    let keys: Vec<ObjectKey> = parsed.objects.iter().map(|object| object.object.key()).collect();
    let broken = newly_broken((config, registry), (&after, &registry_after), &keys);
    findings.extend(broken.iter().map(|(key, error)| breaks(key, error, &parsed.objects)));
    findings.sort_by_key(|f| (f.line, f.column, std::cmp::Reverse(f.severity)));
    findings.truncate(FINDINGS_MAX);
    TextReport { objects: parsed.objects, by_object, findings, config: after }
}

/// Errors that objects have in `after` and did not have in `before`; those in `changed` are left out.
#[must_use]
pub fn newly_broken(
    before: (&MeshConfig, &Registry),
    after: (&MeshConfig, &Registry),
    changed: &[ObjectKey],
) -> Vec<(ObjectKey, Finding)> {
    let (mesh_before, mesh_after) = (Mesh::new(before.0, before.1), Mesh::new(after.0, after.1));
    let errors = |mesh: &Mesh<'_>, object: &ConfigObject| -> Vec<Finding> {
        check(mesh, object).into_iter().filter(|finding| finding.severity == Severity::Error).collect()
    };
    let mut broken = Vec::new();
    for (key, object) in after.0.iter().filter(|(key, _)| !changed.contains(key)) {
        let new = errors(&mesh_after, object);
        if !new.is_empty() {
            let old = before.0.get(key).map(|object| errors(&mesh_before, object)).unwrap_or_default();
            broken.extend(new.into_iter().filter(|error| !old.contains(error)).map(|error| (key.clone(), error)));
        }
    }
    broken
}

/// It does not refuse the change: the other object may follow.
fn breaks(key: &ObjectKey, error: &Finding, changed: &[ParsedObject]) -> Finding {
    Finding {
        code: codes::BREAKS_OTHER.to_owned(),
        severity: Severity::Warning,
        message: format!("this breaks {key} at {}: {}", error.path, error.message),
        path: String::new(),
        line: changed.first().map_or(1, |object| object.first_line),
        column: 1,
        length: 0,
        suggestions: Vec::new(),
    }
}

fn check(mesh: &Mesh<'_>, object: &ConfigObject) -> Vec<Finding> {
    let mut report = Report::new(object);
    common::metadata(&mut report, object);
    match &object.object.spec {
        Spec::VirtualService(spec) => virtual_service::check(&mut report, mesh, object, spec),
        Spec::DestinationRule(spec) => destination_rule::check(&mut report, mesh, object, spec),
        Spec::Gateway(spec) => gateway::check(&mut report, mesh, object, spec),
        Spec::Service(spec) => service::check(&mut report, mesh, object, spec),
    }
    report.finish()
}

#[cfg(test)]
mod tests;
