//! Runs a job's discoveries, and makes targets of what they find.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{Finder, Job};
use super::discovery::{Discovery, TargetGroup};
use super::files::watch_patterns;
use super::http_sd::watch_server;
use super::kubernetes::watch_pods;

type Groups = watch::Receiver<Arc<Vec<TargetGroup>>>;

/// The targets of a job, as long as `stop` is not told.
pub fn watch_job(job: Job, stop: CancellationToken) -> watch::Receiver<Arc<Discovery>> {
    let Job { defaults, finders, target_limit } = job;
    let mut found: Vec<Groups> = finders.into_iter().map(|finder| watch_finder(finder, &stop)).collect();
    let discover = move |found: &mut [Groups]| {
        let groups: Vec<TargetGroup> =
            found.iter_mut().flat_map(|groups| groups.borrow_and_update().iter().cloned().collect::<Vec<_>>()).collect();
        let mut discovery = Discovery::of(&defaults, &groups);
        refuse_beyond(&mut discovery, target_limit);
        discovery
    };
    let (sender, receiver) = watch::channel(Arc::new(discover(&mut found)));
    tokio::spawn(async move {
        while !found.is_empty() {
            let waiting = found.iter_mut().map(|groups| Box::pin(groups.changed()));
            let Some((ended, index, _)) = stop.run_until_cancelled(futures_util::future::select_all(waiting)).await else {
                return;
            };
            if ended.is_err() {
                // They end when `stop` is told, all of them together; one alone has panicked.
                warn!(index, "a discovery has ended");
                return;
            }
            let discovery = discover(&mut found);
            info!(job = %discovery.pool, targets = discovery.targets.len(), dropped = discovery.dropped_total, "targets changed");
            sender.send_replace(Arc::new(discovery));
        }
    });
    receiver
}

fn watch_finder(finder: Finder, stop: &CancellationToken) -> Groups {
    match finder {
        Finder::Static(groups) => {
            let (sender, receiver) = watch::channel(Arc::new(groups));
            // Never changes, and never ends before the job does.
            let stop = stop.clone();
            tokio::spawn(async move {
                stop.cancelled().await;
                drop(sender);
            });
            receiver
        }
        Finder::Files { patterns, refresh } => watch_patterns(patterns, refresh, stop.clone()),
        Finder::Http(server) => watch_server(server, stop.clone()),
        Finder::Kubernetes(pods) => watch_pods(pods, stop.clone()),
    }
}

/// With more targets than its limit none of a job is scraped, as in Prometheus: which of them should be?
fn refuse_beyond(discovery: &mut Discovery, limit: Option<usize>) {
    let count = discovery.targets.len();
    let Some(limit) = limit.filter(|limit| count > *limit) else { return };
    let reason: Arc<str> = format!("target_limit exceeded (number of targets: {count}, limit: {limit})").into();
    for target in &mut discovery.targets {
        target.refused = Some(reason.clone());
    }
}
