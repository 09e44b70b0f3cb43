//! Apply, save, delete, roll back: the changes of configuration, one at a time.

use std::collections::BTreeMap;

use sidelight_api::config::{Action, ApplyRequest, ApplyResponse, ApplyResult, RollbackRequest, SaveRequest};
use sidelight_mesh::codes;
use sidelight_mesh::config::{ObjectKey, ParsedObject};
use sidelight_mesh::finding::{Finding, Severity};
use sidelight_mesh::validate::{TextReport, newly_broken};

use super::{ConfigError, OBJECTS_MAX, accept, api_key, check, cut};
use crate::clock::now_ms;
use crate::control::objects::State;
use crate::control::{Author, Inner};
use crate::store::revisions::{BATCH_OBJECTS_MAX, Change, Expect, NewRevision, StoredRevision};

/// Who changes something, and why.
struct Note<'a> {
    author: &'a Author,
    message: &'a str,
}

impl Inner {
    /// All objects of a text, or none.
    pub(in crate::control) async fn apply(&self, request: &ApplyRequest, author: &Author) -> Result<ApplyResponse, ConfigError> {
        let _one_at_a_time = self.edits.lock().await;
        self.take_up_others().await?;
        let checked = accept(check(&self.newest_view(), &request.yaml, request.namespace.as_deref()))?;
        if request.dry_run {
            return Ok(self.rehearse(checked));
        }
        self.save_all(checked, &Note { author, message: &request.message }, None).await
    }

    /// One object, whose names must be those of `key`.
    pub(in crate::control) async fn save(
        &self,
        key: &ObjectKey,
        request: &SaveRequest,
        author: &Author,
    ) -> Result<ApplyResponse, ConfigError> {
        let _one_at_a_time = self.edits.lock().await;
        self.take_up_others().await?;
        let checked = accept(check(&self.newest_view(), &request.yaml, Some(&key.namespace)))?;
        expect_only(&checked.objects, key)?;
        self.save_all(checked, &Note { author, message: &request.message }, request.base_revision).await
    }

    pub(in crate::control) async fn delete(
        &self,
        key: &ObjectKey,
        base_revision: Option<u64>,
        message: &str,
        author: &Author,
    ) -> Result<ApplyResponse, ConfigError> {
        let _one_at_a_time = self.edits.lock().await;
        self.take_up_others().await?;
        let findings = BTreeMap::from([(key.clone(), self.broken_without(key))]);
        let change = new_revision(key, Change::Delete, base_revision, &Note { author, message });
        self.write(vec![change], findings).await
    }

    /// A new revision with the text of an old one; also brings back what was deleted.
    pub(in crate::control) async fn roll_back(
        &self,
        key: &ObjectKey,
        request: &RollbackRequest,
        author: &Author,
    ) -> Result<ApplyResponse, ConfigError> {
        let _one_at_a_time = self.edits.lock().await;
        self.take_up_others().await?;
        let old = self.stored_revision(key, request.revision).await?;
        if old.is_deletion() {
            let message = format!("revision {} is a deletion and has no text; choose another, or delete {key}", request.revision);
            return Err(ConfigError::BadRequest(message));
        }
        let checked = accept(check(&self.newest_view(), &old.yaml, Some(&key.namespace)))?;
        expect_only(&checked.objects, key)?;
        let change = Change::RollBack { yaml: old.yaml, to: request.revision };
        let new = new_revision(key, change, request.base_revision, &Note { author, message: &request.message });
        let findings = BTreeMap::from([(key.clone(), checked.by_object.into_iter().next().unwrap_or_default())]);
        self.write(vec![new], findings).await
    }

    /// What else stops making sense when an object goes; that does not keep it from going.
    fn broken_without(&self, key: &ObjectKey) -> Vec<Finding> {
        let view = self.newest_view();
        let mut after = view.config().clone();
        after.remove(key);
        let registry_after = view.registry().with_services_of(&after);
        let changed = [key.clone()];
        let broken = newly_broken((view.config(), view.registry()), (&after, &registry_after), &changed);
        broken.into_iter().map(|(other, error)| breaks(&other, &error)).collect()
    }

    async fn save_all(&self, checked: TextReport, note: &Note<'_>, base: Option<u64>) -> Result<ApplyResponse, ConfigError> {
        let state = self.objects.state();
        check_room(&checked)?;
        let mut changes = Vec::new();
        let mut findings = BTreeMap::new();
        let mut unchanged = Vec::new();
        for (object, own) in checked.objects.into_iter().zip(checked.by_object) {
            let key = object.object.key();
            match unchanged_revision(&state, &key, &object.text, base) {
                Some(head) => unchanged.push(result(&key, Action::Unchanged, head.revision, own)),
                None => {
                    changes.push(new_revision(&key, Change::Save { yaml: object.text }, base, note));
                    findings.insert(key, own);
                }
            }
        }
        let mut response = if changes.is_empty() { empty() } else { self.write(changes, findings).await? };
        response.results.extend(unchanged);
        response.results.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(response)
    }

    /// What an apply would do.
    fn rehearse(&self, checked: TextReport) -> ApplyResponse {
        let state = self.objects.state();
        let one = |(object, own): (ParsedObject, Vec<Finding>)| {
            let key = object.object.key();
            let head = state.heads.get(&key);
            let (action, revision) = match head {
                Some(head) if same_text(&head.yaml, &object.text) => (Action::Unchanged, head.revision),
                Some(head) => (Action::Configured, head.revision + 1),
                None => (Action::Created, 1),
            };
            result(&key, action, revision, own)
        };
        ApplyResponse { results: checked.objects.into_iter().zip(checked.by_object).map(one).collect() }
    }

    async fn write(
        &self,
        changes: Vec<NewRevision>,
        mut findings: BTreeMap<ObjectKey, Vec<Finding>>,
    ) -> Result<ApplyResponse, ConfigError> {
        let written = self.revisions.append(changes).await?;
        self.objects.reload(&*self.revisions).await?;
        self.publish();
        let mut response = empty();
        for row in written {
            tracing::info!(kind = row.key.kind, namespace = row.key.namespace, name = row.key.name, revision = row.revision,
                action = ?row.action, author = row.author, "configuration changed");
            let own = findings.iter_mut().find(|(key, _)| api_key(key) == row.key).map(|(_, own)| std::mem::take(own));
            response.results.push(ApplyResult {
                key: row.key,
                action: row.action,
                revision: row.revision,
                findings: own.unwrap_or_default(),
            });
        }
        Ok(response)
    }

    /// Others may share the store; what they saved counts for the checks.
    async fn take_up_others(&self) -> Result<(), ConfigError> {
        if self.objects.follow(&*self.revisions).await? {
            self.publish();
        }
        Ok(())
    }
}

fn check_room(checked: &TextReport) -> Result<(), ConfigError> {
    if checked.objects.len() > BATCH_OBJECTS_MAX {
        return Err(ConfigError::TooMany(format!("at most {BATCH_OBJECTS_MAX} objects can be saved at once; send fewer")));
    }
    if checked.config.len() > OBJECTS_MAX {
        return Err(ConfigError::TooMany(format!("a mesh can have at most {OBJECTS_MAX} objects; delete some first")));
    }
    Ok(())
}

fn expect_only(objects: &[ParsedObject], key: &ObjectKey) -> Result<(), ConfigError> {
    match objects {
        [only] if only.object.key() == *key => Ok(()),
        [other] => {
            let message =
                format!("the text is that of {}, but was sent to {key}; save it under its own name", other.object.key());
            Err(ConfigError::BadRequest(message))
        }
        _ => Err(ConfigError::BadRequest(format!("the text must hold {key} alone; it holds {} objects", objects.len()))),
    }
}

/// The head, when saving would repeat it.
fn unchanged_revision<'a>(state: &'a State, key: &ObjectKey, text: &str, base: Option<u64>) -> Option<&'a StoredRevision> {
    let head = state.heads.get(key)?;
    let is_based_on_it = base.is_none_or(|base| base == head.revision);
    (is_based_on_it && same_text(&head.yaml, text)).then_some(head)
}

fn same_text(a: &str, b: &str) -> bool {
    a.trim_end() == b.trim_end()
}

fn new_revision(key: &ObjectKey, change: Change, base: Option<u64>, note: &Note) -> NewRevision {
    NewRevision {
        key: api_key(key),
        change,
        expect: base.map_or(Expect::Anything, Expect::Head),
        author: cut(&note.author.0),
        message: cut(note.message),
        created_at_ms: now_ms(),
    }
}

fn result(key: &ObjectKey, action: Action, revision: u64, findings: Vec<Finding>) -> ApplyResult {
    ApplyResult { key: api_key(key), action, revision, findings }
}

fn empty() -> ApplyResponse {
    ApplyResponse { results: Vec::new() }
}

/// The text that was deleted has no lines any more.
fn breaks(other: &ObjectKey, error: &Finding) -> Finding {
    Finding {
        code: codes::BREAKS_OTHER.to_owned(),
        severity: Severity::Warning,
        message: format!("this breaks {other} at {}: {}", error.path, error.message),
        path: String::new(),
        line: 0,
        column: 0,
        length: 0,
        suggestions: Vec::new(),
    }
}
