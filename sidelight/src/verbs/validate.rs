//! `sidelight validate`: checks files alone, or as if they were saved into a running mesh.

use sidelight_api::config::{ValidateRequest, ValidateResponse};
use sidelight_mesh::finding::{Finding, Severity};

use super::manifest::Manifest;
use crate::cli::{ServerArgs, ValidateArgs};
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::{finding_line, print};

pub async fn run(args: ValidateArgs) -> Result<(), Exit> {
    let manifest = Manifest::read(&args.files.files)?;
    let namespace = args.files.namespace;
    let Some(server) = args.server else {
        let parsed = manifest.parse(namespace.as_deref());
        return report(&manifest, parsed.objects.len(), &parsed.findings);
    };
    let client = ApiClient::new(&ServerArgs { server, token: args.token })?;
    let request = ValidateRequest { yaml: manifest.yaml.clone(), namespace };
    let response: ValidateResponse = client.post("/api/config/validate", &request).await?;
    report(&manifest, response.objects.len(), &response.findings)
}

fn report(manifest: &Manifest, objects: usize, findings: &[Finding]) -> Result<(), Exit> {
    for finding in findings {
        print(&format!("{}\n", finding_line(&manifest.place(finding), finding)))?;
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    eprintln!("{objects} objects, {errors} errors, {warnings} warnings");
    if errors > 0 { Err(Exit::Told) } else { Ok(()) }
}
