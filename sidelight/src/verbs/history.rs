//! `sidelight history`: who changed an object, when and why.

use anyhow::anyhow;
use sidelight_api::config::{Action, History, Revision};

use super::{find, object_path};
use crate::cli::{HistoryArgs, Output};
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::{print, print_json, table, timestamp};

pub async fn run(args: HistoryArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let key = match &args.object.namespace {
        // A deleted object is in no list, but it has a history.
        None => find(&client, &args.object).await.map_err(|error| hint(error, &args.object.name))?,
        Some(_) => find(&client, &args.object).await?,
    };
    let mut history: History = client.get(&object_path(&key, "/history")).await?;
    if let Some(wanted) = args.revision {
        history.revisions.retain(|revision| revision.revision == wanted);
        if history.revisions.is_empty() {
            return Err(anyhow!("{} `{}` has no revision {wanted}", key.kind, key.name).into());
        }
    }
    match args.output {
        Output::Table => print(&history_table(&history.revisions))?,
        Output::Json => print_json(&history)?,
        Output::Yaml => print(&texts(&history.revisions))?,
    }
    Ok(())
}

fn hint(error: Exit, name: &str) -> Exit {
    match error {
        Exit::Failed(error) => Exit::Failed(error.context(format!("name the namespace of `{name}` with -n if it was deleted"))),
        other => other,
    }
}

fn history_table(revisions: &[Revision]) -> String {
    let row = |revision: &Revision| {
        vec![
            revision.revision.to_string(),
            action(revision),
            timestamp(revision.created_at_ms),
            revision.author.clone(),
            revision.message.replace('\n', " "),
        ]
    };
    let rows: Vec<_> = revisions.iter().map(row).collect();
    table(&["REVISION", "ACTION", "WHEN", "AUTHOR", "MESSAGE"], &rows)
}

fn action(revision: &Revision) -> String {
    match (revision.action, revision.rolled_back_to) {
        (Action::RolledBack, Some(to)) => format!("rolled back to {to}"),
        (Action::RolledBack, None) => "rolled back".to_owned(),
        (Action::Created, _) => "created".to_owned(),
        (Action::Configured, _) => "configured".to_owned(),
        (Action::Unchanged, _) => "unchanged".to_owned(),
        (Action::Deleted, _) => "deleted".to_owned(),
    }
}

fn texts(revisions: &[Revision]) -> String {
    let text = |revision: &Revision| {
        let yaml = if revision.yaml.is_empty() { "# deleted" } else { revision.yaml.trim_end() };
        format!("# revision {} · {} · {}\n{yaml}\n", revision.revision, timestamp(revision.created_at_ms), revision.author)
    };
    revisions.iter().map(text).collect::<Vec<_>>().join("---\n")
}
