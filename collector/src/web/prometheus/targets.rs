//! `targets`: who is scraped, who was dropped, and how that goes.

use axum::extract::State;

use super::Api;
use super::answer::Data;
use super::params::Form;
use super::problem::Problem;
use crate::ingest::scrape::report::{TargetsQuery, report};

pub(super) async fn targets(State(api): State<Api>, form: Form) -> Result<Data, Problem> {
    let text = |name| form.get(name).map(str::to_owned);
    let query = TargetsQuery { state: text("state"), scrape_pool: text("scrapePool") };
    Ok(Data::of(&report(&api.parts.targets, &query).await?))
}
