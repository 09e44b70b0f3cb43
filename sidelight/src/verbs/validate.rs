//! `sidelight validate`: checks files alone, or as if they were saved into a running mesh.

use sidelight_api::config::{ValidateRequest, ValidateResponse};
use sidelight_mesh::codes;
use sidelight_mesh::config::MeshConfig;
use sidelight_mesh::finding::{Finding, Severity};
use sidelight_mesh::registry::Registry;
use sidelight_mesh::validate::validate_text;

use super::manifest::{DEFAULT_NAMESPACE, Manifest};
use crate::cli::{ServerArgs, ValidateArgs};
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::{counted, finding_line, print};

pub async fn run(args: ValidateArgs) -> Result<(), Exit> {
    let manifest = Manifest::read(&args.files.files)?;
    let namespace = args.files.namespace;
    let Some(server) = args.server else {
        let (nothing, nobody) = (MeshConfig::default(), Registry::default());
        let checked = validate_text(&manifest.yaml, namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE), &nothing, &nobody);
        let mut findings = checked.findings;
        // Which workloads run is not known without a server.
        findings.retain(|finding| {
            ![codes::NO_WORKLOADS, codes::SUBSET_EMPTY, codes::GATEWAY_SELECTOR].contains(&finding.code.as_str())
        });
        return report(&manifest, checked.objects.len(), &findings);
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
    let count = |severity| {
        let some = findings.iter().filter(|finding| finding.severity == severity);
        u32::try_from(some.count()).unwrap_or(u32::MAX)
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let objects = u32::try_from(objects).unwrap_or(u32::MAX);
    eprintln!("{}, {}, {}", counted(objects, "object"), counted(errors, "error"), counted(warnings, "warning"));
    if errors > 0 { Err(Exit::Told) } else { Ok(()) }
}
