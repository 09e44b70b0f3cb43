//! `sidelight delete`: takes an object out of the mesh; its history stays.

use sidelight_api::config::ApplyResponse;

use super::{find, object_path, print_results};
use crate::cli::DeleteArgs;
use crate::client::{ApiClient, encode};
use crate::exit::Exit;

pub async fn run(args: DeleteArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let key = find(&client, &args.object).await?;
    let mut query = format!("?message={}", encode(&args.message));
    if let Some(revision) = args.base_revision {
        query.push_str(&format!("&base_revision={revision}"));
    }
    let response: ApplyResponse = client.delete(&object_path(&key, &query)).await?;
    print_results(&response, None, false)
}
