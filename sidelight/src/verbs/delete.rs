//! `sidelight delete`: takes an object out of the mesh; its history stays.

use sidelight_api::config::ApplyResponse;

use super::{find, object_path, print_results};
use crate::cli::DeleteArgs;
use crate::client::{ApiClient, encode};
use crate::exit::Exit;

pub async fn run(args: DeleteArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let key = find(&client, &args.object).await?;
    let query = if args.message.is_empty() { String::new() } else { format!("?message={}", encode(&args.message)) };
    let response: ApplyResponse = client.delete(&object_path(&key, &query)).await?;
    print_results(&response, None, false)
}
