//! The client verbs: one file each, and what several of them need.

pub mod apply;
pub mod db;
pub mod delete;
pub mod diff;
pub mod get;
pub mod graph;
pub mod history;
pub mod manifest;
pub mod proxies;
pub mod rollback;
pub mod validate;

use anyhow::anyhow;
use sidelight_api::config::{ApplyResponse, ApplyResult, ObjectKey, ObjectList};
use sidelight_api::error::ErrorKind;
use sidelight_mesh::config::Kind;
use sidelight_mesh::finding::Finding;

use crate::cli::ObjectArgs;
use crate::client::{ApiClient, CallError, encode};
use crate::exit::Exit;
use crate::output::{finding_line, print};
use manifest::Manifest;

/// The kind as objects spell it, from any name that people use; a word that is not known stays as it is.
fn canonical_kind(word: &str) -> String {
    Kind::parse(word).map_or_else(|| word.to_owned(), |kind| kind.as_str().to_owned())
}

/// `/api/config/{kind}/{namespace}/{name}` and what follows.
fn object_path(key: &ObjectKey, rest: &str) -> String {
    format!("/api/config/{}/{}/{}{rest}", encode(&key.kind), encode(&key.namespace), encode(&key.name))
}

/// The list of all objects, or of those in one namespace.
async fn list(client: &ApiClient, namespace: Option<&str>) -> Result<ObjectList, CallError> {
    match namespace {
        Some(namespace) => client.get(&format!("/api/config?namespaces={}", encode(namespace))).await,
        None => client.get("/api/config").await,
    }
}

/// The object that is meant; its namespace is looked up when it was not given.
async fn find(client: &ApiClient, object: &ObjectArgs) -> Result<ObjectKey, Exit> {
    let kind = canonical_kind(&object.kind);
    if let Some(namespace) = &object.namespace {
        return Ok(ObjectKey { kind, namespace: namespace.clone(), name: object.name.clone() });
    }
    let objects = list(client, None).await?.objects;
    let found: Vec<ObjectKey> =
        objects.into_iter().map(|summary| summary.key).filter(|key| key.kind == kind && key.name == object.name).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(anyhow!("there is no {kind} `{}`; see `sidelight get {kind}`", object.name).into()),
        several => {
            let namespaces: Vec<&str> = several.iter().map(|key| key.namespace.as_str()).collect();
            Err(anyhow!("{kind} `{}` is in {}; say which with -n", object.name, namespaces.join(", ")).into())
        }
    }
}

/// `virtualservice/reviews configured (revision 3)`
fn result_line(result: &ApplyResult, dry_run: bool) -> String {
    use sidelight_api::config::Action;
    let action = match result.action {
        Action::Created => "created",
        Action::Configured => "configured",
        Action::Unchanged => "unchanged",
        Action::Deleted => "deleted",
        Action::RolledBack => "rolled back",
    };
    let revision = if dry_run { " (dry run)".to_owned() } else { format!(" (revision {})", result.revision) };
    format!("{}/{} {action}{revision}\n", result.key.kind.to_lowercase(), result.key.name)
}

fn print_results(response: &ApplyResponse, manifest: Option<&Manifest>, dry_run: bool) -> Result<(), Exit> {
    for result in &response.results {
        print(&result_line(result, dry_run))?;
        match manifest {
            Some(manifest) => print_findings(manifest, &result.findings),
            None => result.findings.iter().for_each(|finding| eprintln!("{}", finding_line(&result.key.name, finding))),
        }
    }
    Ok(())
}

fn print_findings(manifest: &Manifest, findings: &[Finding]) {
    for finding in findings {
        eprintln!("{}", finding_line(&manifest.place(finding), finding));
    }
}

/// A refusal with findings is told line by line, in the words of the files that were read.
fn told(error: CallError, manifest: &Manifest) -> Exit {
    match error {
        CallError::Refused(error) if error.kind == ErrorKind::Invalid && !error.findings.is_empty() => {
            print_findings(manifest, &error.findings);
            eprintln!("error: {}", error.message);
            Exit::Told
        }
        other => other.into(),
    }
}
