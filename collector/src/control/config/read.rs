//! Lists, texts, histories, and checks without saving.

use sidelight_api::config::{
    History, ObjectDetail, ObjectList, ObjectSummary, Reference, Revision, ValidateRequest, ValidateResponse,
};
use sidelight_api::timeline::Change;
use sidelight_mesh::config::{ConfigObject, Kind, MeshConfig, ObjectKey};
use sidelight_mesh::finding::{Finding, Severity};
use sidelight_mesh::references::references;
use sidelight_mesh::registry::Registry;

use super::rollout::{Progress, rollout};
use super::{ConfigError, api_key, check, count};
use crate::control::{Inner, MeshView};
use crate::store::revisions::{RevisionError, StoredRevision};

/// References of one object that are told; a longer list helps nobody.
const REFERENCES_MAX: usize = 500;

impl Inner {
    /// No namespaces means all.
    pub(in crate::control) fn list(&self, namespaces: &[String]) -> ObjectList {
        let (state, view, progress) = (self.objects.state(), self.newest_view(), self.progress());
        let wanted = state.heads.iter().filter(|(key, _)| namespaces.is_empty() || namespaces.contains(&key.namespace));
        ObjectList { objects: wanted.map(|(key, head)| summary(&view, key, head, &progress)).collect() }
    }

    pub(in crate::control) fn detail(&self, key: &ObjectKey) -> Result<ObjectDetail, ConfigError> {
        let (state, view) = (self.objects.state(), self.newest_view());
        let head = state.heads.get(key).ok_or_else(|| ConfigError::NotFound(format!("there is no {key}")))?;
        let object = view.config().get(key);
        Ok(ObjectDetail {
            summary: summary(&view, key, head, &self.progress()),
            yaml: head.yaml.clone(),
            findings: view.findings(key).to_vec(),
            references: object.map(|object| references_of(object, view.config(), view.registry())).unwrap_or_default(),
        })
    }

    pub(in crate::control) async fn history(&self, key: &ObjectKey) -> Result<History, ConfigError> {
        let rows = self.revisions.history(&api_key(key)).await?;
        if rows.is_empty() {
            return Err(ConfigError::NotFound(format!("there never was a {key}")));
        }
        Ok(History { revisions: rows.into_iter().map(revision).collect() })
    }

    pub(in crate::control) async fn revision(&self, key: &ObjectKey, number: u64) -> Result<Revision, ConfigError> {
        self.stored_revision(key, number).await.map(revision)
    }

    pub(in crate::control) async fn stored_revision(&self, key: &ObjectKey, number: u64) -> Result<StoredRevision, ConfigError> {
        let found = self.revisions.revision(&api_key(key), number).await?;
        found.ok_or_else(|| ConfigError::NotFound(format!("{key} has no revision {number}")))
    }

    /// Findings of a text as if it were saved.
    pub(in crate::control) fn validate(&self, request: &ValidateRequest) -> ValidateResponse {
        let view = self.newest_view();
        let report = check(&view, &request.yaml, request.namespace.as_deref());
        let after = view.registry().with_services_of(&report.config);
        let stored = report.objects.iter().filter_map(|object| report.config.get(&object.object.key()));
        ValidateResponse {
            objects: report.objects.iter().map(|object| api_key(&object.object.key())).collect(),
            references: stored.flat_map(|object| references_of(object, &report.config, &after)).collect(),
            findings: report.findings,
        }
    }

    pub(in crate::control) async fn changes(
        &self,
        from_ms: i64,
        to_ms: i64,
        namespaces: &[String],
    ) -> Result<Vec<Change>, RevisionError> {
        let rows = self.revisions.changes(from_ms, to_ms, namespaces).await?;
        Ok(rows.into_iter().map(change).collect())
    }

    pub(in crate::control) fn newest_view(&self) -> std::sync::Arc<MeshView> {
        self.view.borrow().clone()
    }

    fn progress(&self) -> Progress {
        Progress { records: self.proxies.list(), newest: self.view.borrow().sequence() }
    }
}

fn references_of(object: &ConfigObject, config: &MeshConfig, registry: &Registry) -> Vec<Reference> {
    let found = references(object, config, registry).into_iter().take(REFERENCES_MAX);
    found
        .map(|r| Reference {
            kind: r.kind.to_owned(),
            name: r.name,
            namespace: r.namespace,
            exists: r.exists,
            workloads: r.workloads,
        })
        .collect()
}

fn summary(view: &MeshView, key: &ObjectKey, head: &StoredRevision, progress: &Progress) -> ObjectSummary {
    let object = view.config().get(key);
    let broken = [unreadable(head)];
    let findings = if object.is_some() { view.findings(key) } else { &broken };
    let counts = count(findings);
    let of = |severity| counts.get(&severity).copied().unwrap_or(0);
    ObjectSummary {
        key: api_key(key),
        api_version: object.map_or_else(|| key.kind.api_versions()[0].to_owned(), |object| object.object.api_version.clone()),
        revision: head.revision,
        updated_at_ms: head.created_at_ms,
        author: head.author.clone(),
        message: head.message.clone(),
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        worst: findings.iter().max_by_key(|finding| finding.severity).cloned(),
        hosts: object.map(|object| object.object.hosts()).unwrap_or_default(),
        rollout: rollout(progress, object.filter(|_| key.kind == Kind::Gateway).map(|object| &object.object)),
    }
}

fn unreadable(head: &StoredRevision) -> Finding {
    Finding {
        code: "SL0001".to_owned(),
        severity: Severity::Error,
        message: format!("revision {} cannot be read by this version and has no effect; save it anew", head.revision),
        path: String::new(),
        line: 1,
        column: 1,
        length: 0,
        suggestions: Vec::new(),
    }
}

fn revision(row: StoredRevision) -> Revision {
    Revision {
        revision: row.revision,
        action: row.action,
        created_at_ms: row.created_at_ms,
        author: row.author,
        message: row.message,
        rolled_back_to: row.rolled_back_to,
        yaml: row.yaml,
    }
}

fn change(row: StoredRevision) -> Change {
    Change {
        t_ms: row.created_at_ms,
        kind: row.key.kind,
        namespace: row.key.namespace,
        name: row.key.name,
        revision: row.revision,
        action: row.action,
        author: row.author,
        message: row.message,
    }
}
