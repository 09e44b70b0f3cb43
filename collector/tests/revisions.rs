//! The contract of `RevisionStore`, the same tests on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use sidelight_api::config::{Action, ObjectKey};
use sidelight_collector::store::revisions::{Change, Expect, NewRevision, RevisionError, RevisionStore, StoredRevision};
use sidelight_collector::store::{PgStore, SqliteStore};
use support::place::Place;

on_both!(
    an_empty_store_has_no_objects,
    revisions_count_from_one_and_go_on_after_a_deletion,
    a_roll_back_is_a_new_revision,
    a_save_on_an_older_revision_is_refused,
    a_batch_is_written_whole_or_not_at_all,
    of_two_writers_one_wins,
    changes_are_those_of_a_time_and_namespace,
    rows_cannot_be_changed_or_taken_away,
);

struct Revisions {
    store: Arc<dyn RevisionStore>,
    raw: Raw,
}

enum Raw {
    Sqlite(SqliteStore),
    Postgres(PgStore),
}

async fn open(place: &Place) -> Revisions {
    match place {
        Place::Sqlite(folder) => {
            let store = SqliteStore::open(&folder.path().join("mesh.db")).await.unwrap();
            Revisions { store: Arc::new(store.clone()), raw: Raw::Sqlite(store) }
        }
        Place::Postgres(url) => {
            let store = PgStore::connect(url).await.unwrap();
            Revisions { store: Arc::new(store.clone()), raw: Raw::Postgres(store) }
        }
    }
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { kind: "VirtualService".to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

fn new(key: &ObjectKey, change: Change, at: i64) -> NewRevision {
    NewRevision {
        key: key.clone(),
        change,
        expect: Expect::Anything,
        author: "alice".to_owned(),
        message: "why".to_owned(),
        created_at_ms: at,
    }
}

fn text(yaml: &str) -> Change {
    Change::Save { yaml: yaml.to_owned() }
}

impl Revisions {
    async fn write(&self, key: &ObjectKey, change: Change, at: i64) -> StoredRevision {
        let mut written = self.store.append(vec![new(key, change, at)]).await.unwrap();
        written.pop().unwrap()
    }
}

async fn an_empty_store_has_no_objects(place: &Place) {
    let store = open(place).await.store;
    assert_eq!(store.current().await.unwrap(), []);
    assert_eq!(store.head(&key("a", "b")).await.unwrap(), None);
    assert_eq!(store.history(&key("a", "b")).await.unwrap(), []);
    assert_eq!(store.revision(&key("a", "b"), 1).await.unwrap(), None);
    assert_eq!(store.newest_sequence().await.unwrap(), 0);
    assert_eq!(store.append(Vec::new()).await.unwrap(), []);
}

async fn revisions_count_from_one_and_go_on_after_a_deletion(place: &Place) {
    let revisions = open(place).await;
    let reviews = key("bookinfo", "reviews");
    let mut told = Vec::new();
    for (change, at) in [(text("one # Ω"), 10), (text("two"), 20), (Change::Delete, 30), (text("three"), 40)] {
        let row = revisions.write(&reviews, change, at).await;
        told.push((row.revision, row.action, row.yaml, row.created_at_ms, row.object_since_ms));
    }
    let expected = [
        (1, Action::Created, "one # Ω", 10, 10),
        (2, Action::Configured, "two", 20, 10),
        (3, Action::Deleted, "", 30, 10),
        (4, Action::Created, "three", 40, 40),
    ];
    assert_eq!(told, expected.map(|(n, action, yaml, at, since)| (n, action, yaml.to_owned(), at, since)));
    // Under a new store on the same data.
    let store = open(place).await.store;
    let history: Vec<u64> = store.history(&reviews).await.unwrap().iter().map(|row| row.revision).collect();
    assert_eq!(history, [4, 3, 2, 1]);
    let second = store.revision(&reviews, 2).await.unwrap().unwrap();
    assert_eq!((second.yaml.as_str(), second.author.as_str(), second.message.as_str()), ("two", "alice", "why"));
    assert_eq!(store.current().await.unwrap().len(), 1);
    revisions.write(&reviews, Change::Delete, 50).await;
    assert_eq!(store.current().await.unwrap(), []);
    assert_eq!(store.head(&reviews).await.unwrap().unwrap().revision, 5);
    let again = store.append(vec![new(&reviews, Change::Delete, 60)]).await;
    assert!(matches!(again, Err(RevisionError::NotFound { .. })), "{again:?}");
}

async fn a_roll_back_is_a_new_revision(place: &Place) {
    let revisions = open(place).await;
    let reviews = key("bookinfo", "reviews");
    revisions.write(&reviews, text("one"), 10).await;
    revisions.write(&reviews, text("two"), 20).await;
    let back = revisions.write(&reviews, Change::RollBack { yaml: "one".to_owned(), to: 1 }, 30).await;
    assert_eq!((back.revision, back.action, back.rolled_back_to), (3, Action::RolledBack, Some(1)));
    assert_eq!(revisions.store.current().await.unwrap(), [back]);
}

async fn a_save_on_an_older_revision_is_refused(place: &Place) {
    let revisions = open(place).await;
    let reviews = key("bookinfo", "reviews");
    let save = async |expected, yaml: &str| {
        let new = NewRevision { expect: Expect::Head(expected), ..new(&reviews, text(yaml), 10) };
        revisions.store.append(vec![new]).await
    };
    assert!(matches!(save(3, "x").await, Err(RevisionError::Conflict { expected: 3, found: 0, .. })));
    assert_eq!(save(0, "one").await.unwrap()[0].revision, 1);
    assert!(matches!(save(0, "x").await, Err(RevisionError::Conflict { expected: 0, found: 1, .. })));
    assert_eq!(save(1, "two").await.unwrap()[0].revision, 2);
    assert!(matches!(save(1, "x").await, Err(RevisionError::Conflict { expected: 1, found: 2, .. })));
    revisions.write(&reviews, Change::Delete, 20).await;
    // "There is no such object" is true of a deleted one.
    assert_eq!(save(0, "three").await.unwrap()[0].revision, 4);
}

async fn a_batch_is_written_whole_or_not_at_all(place: &Place) {
    let revisions = open(place).await;
    let (a, b) = (key("bookinfo", "a"), key("bookinfo", "b"));
    let failing = vec![new(&a, text("a"), 10), new(&b, Change::Delete, 10)];
    assert!(revisions.store.append(failing).await.is_err());
    assert_eq!(revisions.store.current().await.unwrap(), []);
    let written = revisions.store.append(vec![new(&b, text("b"), 10), new(&a, text("a"), 10)]).await.unwrap();
    let names = |rows: &[StoredRevision]| rows.iter().map(|row| row.key.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&written), ["b", "a"]);
    assert_eq!(names(&revisions.store.current().await.unwrap()), ["a", "b"]);
    assert_eq!(revisions.store.newest_sequence().await.unwrap(), written[1].sequence);
}

async fn of_two_writers_one_wins(place: &Place) {
    let revisions = open(place).await;
    let reviews = key("bookinfo", "reviews");
    let other = open(place).await;
    let tasks = (0..16).map(|number| {
        let store = Arc::clone(if number % 2 == 0 { &revisions.store } else { &other.store });
        let new = NewRevision { expect: Expect::Head(0), ..new(&reviews, text(&number.to_string()), 10) };
        tokio::spawn(async move { store.append(vec![new]).await })
    });
    let mut won = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, RevisionError::Conflict { .. }), "{error:?}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(revisions.store.history(&reviews).await.unwrap().len(), 1);
}

async fn changes_are_those_of_a_time_and_namespace(place: &Place) {
    let revisions = open(place).await;
    for (namespace, at) in [("a", 10), ("b", 20), ("a", 30), ("c", 40)] {
        revisions.write(&key(namespace, "x"), text(&at.to_string()), at).await;
    }
    let times = async |from, to, namespaces: &[&str]| {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let rows = revisions.store.changes(from, to, &namespaces).await.unwrap();
        rows.iter().map(|row| row.created_at_ms).collect::<Vec<_>>()
    };
    assert_eq!(times(0, 100, &[]).await, [10, 20, 30, 40]);
    assert_eq!(times(20, 40, &[]).await, [20, 30]);
    assert_eq!(times(0, 100, &["a", "c"]).await, [10, 30, 40]);
    assert_eq!(times(0, 100, &["d"]).await, Vec::<i64>::new());
}

async fn rows_cannot_be_changed_or_taken_away(place: &Place) {
    let revisions = open(place).await;
    revisions.write(&key("a", "x"), text("one"), 10).await;
    for statement in ["UPDATE config_revision SET yaml = ''", "DELETE FROM config_revision"] {
        let error = match &revisions.raw {
            Raw::Sqlite(store) => sqlx::query(statement).execute(store.pool()).await.unwrap_err(),
            Raw::Postgres(store) => sqlx::query(statement).execute(store.pool()).await.unwrap_err(),
        };
        assert!(error.to_string().contains("config_revision is append-only"), "{error}");
    }
}
