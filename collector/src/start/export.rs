//! Starts the exporters that the settings name.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::now_ms;
use crate::export::{Client, ClientError, ExportMetrics, ExportSettings, Exporter, Report};
use crate::store::ExportQueue;

/// How long spans wait for a backend.
const QUEUED_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks for those that waited longer.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(600);

/// Exporters at work, and what they tell.
pub(super) struct Exports {
    pub tasks: Vec<JoinHandle<()>>,
    pub reports: Vec<Report>,
}

/// From here on, what is stored is queued as well.
pub(super) fn start(
    settings: &ExportSettings,
    queue: &Arc<dyn ExportQueue>,
    metrics: ExportMetrics,
    stop: &CancellationToken,
) -> Result<Exports, ClientError> {
    let mut exports = Exports { tasks: Vec::new(), reports: Vec::new() };
    let mut names = Vec::new();
    for (name, client) in settings.exporters() {
        let destination = client.destination.to_string();
        info!(exporter = name, destination, "spans are sent on");
        let client = Client::new(client.clone())?;
        let report = Report::new(name, destination, metrics.clone());
        let exporter = Exporter::new(name, client, settings, Arc::clone(queue), report.clone());
        exports.tasks.push(tokio::spawn(exporter.run(stop.clone())));
        exports.reports.push(report);
        names.push(name);
    }
    queue.queue_for(names);
    exports.tasks.push(tokio::spawn(expire(Arc::clone(queue), exports.reports.clone(), metrics, stop.clone())));
    Ok(exports)
}

/// Drops what an exporter that is no longer asked for left behind, and what a backend did not take for a day.
async fn expire(queue: Arc<dyn ExportQueue>, reports: Vec<Report>, metrics: ExportMetrics, stop: CancellationToken) {
    let kept_ms = i64::try_from(QUEUED_AT_MOST.as_millis()).unwrap_or(i64::MAX);
    while stop.run_until_cancelled(tokio::time::sleep(EXPIRE_INTERVAL)).await.is_some() {
        loop {
            let now_ms = now_ms();
            match queue.expire(now_ms - kept_ms, now_ms).await {
                Ok(gone) if gone.is_empty() => break,
                Ok(gone) => {
                    for (exporter, spans) in gone {
                        let known = reports.iter().find(|report| report.status().exporter == exporter).cloned();
                        // Of an exporter that there was before: no status page shows it, but the metrics do.
                        let report = known.unwrap_or_else(|| Report::new(&exporter, String::new(), metrics.clone()));
                        report.dropped("too_old", spans, "they waited for a day");
                    }
                }
                Err(error) => {
                    warn!(%error, "the queue of spans to export cannot be reached");
                    break;
                }
            }
        }
    }
}
