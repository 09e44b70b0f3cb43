//! `sidelight rollback`: saves the text of an older revision as the newest.

use sidelight_api::config::{ApplyResponse, RollbackRequest};

use super::{find, object_path, print_results};
use crate::cli::RollbackArgs;
use crate::client::ApiClient;
use crate::exit::Exit;

pub async fn run(args: RollbackArgs) -> Result<(), Exit> {
    let client = ApiClient::new(&args.server)?;
    let key = find(&client, &args.object).await?;
    let request = RollbackRequest { revision: args.to, message: args.message, base_revision: args.base_revision };
    let response: ApplyResponse = client.post(&object_path(&key, "/rollback"), &request).await?;
    print_results(&response, None, false)
}
