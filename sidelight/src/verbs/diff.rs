//! `sidelight diff`: what `apply` of the same files would change, as unified diffs.

use sidelight_api::config::{ObjectDetail, ObjectKey};
use sidelight_api::error::ErrorKind;

use sidelight_mesh::finding::Severity;

use super::manifest::Manifest;
use super::{object_path, print_findings};
use crate::cli::DiffArgs;
use crate::client::{ApiClient, CallError};
use crate::exit::Exit;
use crate::output::print;

pub async fn run(args: DiffArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let manifest = Manifest::read(&args.files.files)?;
    let parsed = manifest.parse(args.files.namespace.as_deref());
    if parsed.findings.iter().any(|finding| finding.severity == Severity::Error) {
        print_findings(&manifest, &parsed.findings);
        return Err(Exit::Told);
    }
    let mut differs = false;
    for document in parsed.objects {
        let named = document.object.key();
        let key = ObjectKey { kind: named.kind.to_string(), namespace: named.namespace, name: named.name };
        let saved = saved_text(&client, &key).await?;
        if let Some(diff) = unified(&key, &saved, &document.text) {
            differs = true;
            print(&diff)?;
        }
    }
    if differs { Err(Exit::Told) } else { Ok(()) }
}

async fn saved_text(client: &ApiClient, key: &ObjectKey) -> Result<String, Exit> {
    match client.get::<ObjectDetail>(&object_path(key, "")).await {
        Ok(detail) => Ok(detail.yaml),
        Err(CallError::Refused(error)) if error.kind == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// Blank lines and separators around a document are not a difference.
fn unified(key: &ObjectKey, saved: &str, wanted: &str) -> Option<String> {
    let tidy = |text: &str| match text.trim_matches('\n') {
        "" => String::new(),
        text => format!("{text}\n"),
    };
    let (saved, wanted) = (tidy(saved), tidy(wanted));
    if saved == wanted {
        return None;
    }
    let name = format!("{}/{}/{}", key.kind, key.namespace, key.name);
    let diff = similar::TextDiff::from_lines(&saved, &wanted);
    Some(diff.unified_diff().context_radius(3).header(&format!("saved {name}"), &format!("file {name}")).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        let key = ObjectKey { kind: "VirtualService".into(), namespace: "n".into(), name: "a".into() };
        assert_eq!(unified(&key, "a: 1\n", "\na: 1\n\n"), None);
        assert_eq!(
            unified(&key, "a: 1\nb: 2\n", "a: 1\nb: 3\n").as_deref(),
            Some("--- saved VirtualService/n/a\n+++ file VirtualService/n/a\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n")
        );
    }
}
