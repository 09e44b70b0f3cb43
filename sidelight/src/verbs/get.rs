//! `sidelight get`: lists configuration objects, or shows them as written.

use anyhow::anyhow;
use sidelight_api::config::{ObjectDetail, ObjectKey, ObjectSummary, Rollout};

use super::{canonical_kind, find, list, object_path};
use crate::cli::{GetArgs, ObjectArgs, Output};
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::{age, counted, now_ms, print, print_json, table};

pub async fn run(args: GetArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let kind = args.kind.as_deref().map(canonical_kind);
    if let (Some(kind), Some(name)) = (&kind, &args.name) {
        let object = ObjectArgs { kind: kind.clone(), name: name.clone(), namespace: args.namespace.clone() };
        return show(&client, &find(&client, &object).await?, args.output).await;
    }
    let mut objects = list(&client, args.namespace.as_deref()).await?.objects;
    objects.retain(|object| kind.as_ref().is_none_or(|kind| object.key.kind == *kind));
    match args.output {
        Output::Table if objects.is_empty() => eprintln!("no objects"),
        Output::Table => print(&summary_table(&objects))?,
        Output::Json => print_json(&objects)?,
        Output::Yaml => {
            let mut texts = Vec::new();
            for object in &objects {
                let detail: ObjectDetail = client.get(&object_path(&object.key, "")).await?;
                texts.push(with_newline(detail.yaml));
            }
            print(&texts.join("---\n"))?;
        }
    }
    Ok(())
}

async fn show(client: &ApiClient, key: &ObjectKey, output: Output) -> Result<(), Exit> {
    let detail: ObjectDetail = client.get(&object_path(key, "")).await?;
    match output {
        Output::Yaml => print(&with_newline(detail.yaml))?,
        Output::Json => print_json(&detail)?,
        Output::Table => {
            if detail.summary.revision == 0 {
                return Err(anyhow!("{} `{}` has no revision", key.kind, key.name).into());
            }
            print(&summary_table(std::slice::from_ref(&detail.summary)))?;
        }
    }
    Ok(())
}

fn summary_table(objects: &[ObjectSummary]) -> String {
    let now = now_ms();
    let rows: Vec<Vec<String>> = objects
        .iter()
        .map(|object| {
            vec![
                object.key.kind.clone(),
                object.key.namespace.clone(),
                object.key.name.clone(),
                object.revision.to_string(),
                age(object.updated_at_ms, now),
                object.author.clone(),
                findings(object),
                rollout(&object.rollout),
                object.hosts.join(","),
            ]
        })
        .collect();
    table(&["KIND", "NAMESPACE", "NAME", "REVISION", "AGE", "AUTHOR", "FINDINGS", "PROXIES", "HOSTS"], &rows)
}

fn findings(object: &ObjectSummary) -> String {
    let told = [(object.errors, "error"), (object.warnings, "warning")];
    let told: Vec<String> = told.iter().filter(|(count, _)| *count > 0).map(|(count, word)| counted(*count, word)).collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

fn rollout(rollout: &Rollout) -> String {
    let refused = if rollout.refused > 0 { format!(", {} refused", rollout.refused) } else { String::new() };
    format!("{}/{}{refused}", rollout.applied, rollout.proxies)
}

fn with_newline(mut yaml: String) -> String {
    if !yaml.ends_with('\n') {
        yaml.push('\n');
    }
    yaml
}
