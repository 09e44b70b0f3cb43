//! The configuration objects as they are now, read from the newest revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use sidelight_mesh::config::{Kind, MeshConfig, MeshSettings, ObjectKey, parse_documents};

use crate::store::revisions::{RevisionError, RevisionStore, StoredRevision};

/// Newest revision of each object, and all of them parsed.
pub(super) struct Objects {
    state: RwLock<Arc<State>>,
    settings: MeshSettings,
}

#[derive(Default)]
pub(super) struct State {
    /// Revisions that cannot be read any more are here too, so that they can be seen and mended.
    pub(super) heads: BTreeMap<ObjectKey, StoredRevision>,
    pub(super) config: Arc<MeshConfig>,
    /// Sequence of the newest row that is part of this.
    sequence: i64,
}

impl Objects {
    pub(super) async fn load(store: &dyn RevisionStore, settings: &MeshSettings) -> Result<Self, RevisionError> {
        let objects = Self { state: RwLock::default(), settings: settings.clone() };
        objects.reload(store).await?;
        Ok(objects)
    }

    pub(super) fn config(&self) -> Arc<MeshConfig> {
        Arc::clone(&self.state.read().config)
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Takes up what was written since, be it by another collector; tells whether there was anything.
    pub(super) async fn follow(&self, store: &dyn RevisionStore) -> Result<bool, RevisionError> {
        let newest = store.newest_sequence().await?;
        if newest == self.state.read().sequence {
            return Ok(false);
        }
        self.reload(store).await?;
        Ok(true)
    }

    pub(super) async fn reload(&self, store: &dyn RevisionStore) -> Result<(), RevisionError> {
        // Read before the rows: what is written in between is then read once more, not missed.
        let sequence = store.newest_sequence().await?;
        let heads = store.current().await?;
        let before = self.state();
        let mut config = MeshConfig::new(self.settings.clone());
        let mut by_key = BTreeMap::new();
        for head in heads {
            let Some(key) = mesh_key(&head) else {
                tracing::error!(kind = head.key.kind, "the store holds a kind of object that this version does not know");
                continue;
            };
            insert(&mut config, &before, &key, &head);
            by_key.insert(key, head);
        }
        let state = State { heads: by_key, config: Arc::new(config), sequence };
        let mut current = self.state.write();
        // Two may reload at once: the one that read more wins.
        if sequence >= current.sequence {
            *current = Arc::new(state);
        }
        Ok(())
    }
}

fn mesh_key(head: &StoredRevision) -> Option<ObjectKey> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == head.key.kind)?;
    Some(ObjectKey { kind, namespace: head.key.namespace.clone(), name: head.key.name.clone() })
}

fn insert(config: &mut MeshConfig, before: &State, key: &ObjectKey, head: &StoredRevision) {
    let same = before.heads.get(key).is_some_and(|known| known.sequence == head.sequence);
    if let (true, Some(known)) = (same, before.config.get(key)) {
        config.insert_shared(Arc::clone(known));
        return;
    }
    let mut parsed = parse_documents(&head.yaml, &key.namespace);
    match parsed.objects.pop() {
        Some(object) if parsed.objects.is_empty() && object.object.key() == *key => {
            config.insert(object.into_config(head.object_since_ms));
        }
        // An older version accepted what this one does not: the object is left out and shown as broken.
        _ => tracing::error!(object = %key, revision = head.revision, "a stored object cannot be read and has no effect"),
    }
}
