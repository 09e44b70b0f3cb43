//! Starts sending samples on, where the settings say so.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::forward::{Forwarder, Forwarding};
use crate::own_metrics::OwnMetrics;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

pub(super) async fn start(
    settings: &Settings,
    store: &Arc<dyn Store>,
    metrics: &Arc<OwnMetrics>,
    stop: &CancellationToken,
) -> Result<Option<(JoinHandle<()>, Forwarder)>, StoreError> {
    let Some(url) = &settings.remote_write else { return Ok(None) };
    let index = store.series_index().await?;
    let (forwarding, forwarder) = Forwarding::new(url.clone(), index, Arc::clone(metrics), stop.clone());
    Ok(Some((tokio::spawn(forwarding.run()), forwarder)))
}
