//! `sidelight db` as it is typed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use sidelight_collector::store::{SqliteStore, Store as _};

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn say(folder: &Path, words: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
    command.arg("db").args(words.split(' ')).current_dir(folder).env_remove("SIDELIGHT_DATABASE");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn a_database_is_checked_measured_and_copied() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sidelight.db")).await.unwrap();
    store.close().await;
    let here = |words: &str| say(folder.path(), words);

    let checked = here("check --data .");
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(checked.out.starts_with("1 rows of ") && checked.out.ends_with(" tables read, 0 findings\n"), "{}", checked.out);
    let stats: serde_json::Value = serde_json::from_str(&here("stats --data . -o json").out).unwrap();
    assert_eq!((stats["kind"].as_str(), stats["bytes"].as_u64().is_some_and(|bytes| bytes > 0)), (Some("sqlite"), true));
    assert!(here("stats --data .").out.starts_with("DATA"));
    assert_eq!(here("compact --database sqlite:sidelight.db").code, 0);

    let backup = here("backup --data . backup.db");
    // Merging reads the dictionary of series, which has begun to number them.
    assert!(backup.out.starts_with("2 rows of "), "{}{}", backup.out, backup.err);
    let again = here("backup --data . backup.db");
    assert_eq!(again.err, "error: backup.db is there already; choose another name, or take it away first\n");
    assert_eq!(here("restore backup.db --database sqlite:restored.db").code, 0);
    assert_eq!(here("copy --from sqlite:restored.db --to sqlite:copy.db").code, 0);
    assert_eq!(here("check --database sqlite:copy.db").code, 0);

    let missing = here("check --database sqlite:nowhere.db");
    assert_eq!((missing.code, missing.err.as_str()), (1, "error: there is no database at nowhere.db\n"));
    assert_eq!(here("check --database mysql:x").code, 64);
}

#[tokio::test]
async fn a_finding_ends_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sidelight.db")).await.unwrap();
    sqlx::query("INSERT INTO slice VALUES ('span_block', 0, 3600)").execute(store.pool()).await.unwrap();
    store.close().await;
    let checked = say(folder.path(), "check --data .");
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("span_block_0: is listed as a slice, but there is no such table\n"), "{}", checked.out);
    assert!(checked.out.ends_with(" tables read, 1 finding\n"), "{}", checked.out);
}
