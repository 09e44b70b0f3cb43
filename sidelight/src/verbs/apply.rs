//! `sidelight apply`: saves the objects of files, all or none.

use sidelight_api::config::{ApplyRequest, ApplyResponse};

use super::manifest::Manifest;
use super::{print_results, told};
use crate::cli::ApplyArgs;
use crate::client::ApiClient;
use crate::exit::Exit;

pub async fn run(args: ApplyArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let manifest = Manifest::read(&args.files.files)?;
    let request = ApplyRequest {
        yaml: manifest.yaml.clone(),
        message: args.message,
        namespace: args.files.namespace,
        dry_run: args.dry_run,
    };
    let response: ApplyResponse = client.post("/api/config/apply", &request).await.map_err(|error| told(error, &manifest))?;
    print_results(&response, Some(&manifest), args.dry_run)
}
