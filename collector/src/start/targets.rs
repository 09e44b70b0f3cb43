//! Who is scraped: registered proxies, configured URLs, and a file of targets.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::{ControlPlane, Target};
use crate::ingest::scrape::{FileTargetsError, ScrapeTarget, watch_file};
use crate::settings::Settings;

type Targets = Arc<[ScrapeTarget]>;

/// One source for each of them; `stop` ends their tasks.
pub(super) async fn sources(
    settings: &Settings,
    control: &ControlPlane,
    stop: &CancellationToken,
) -> Result<Vec<watch::Receiver<Targets>>, FileTargetsError> {
    let mut sources = vec![registered(control.targets(), stop.clone())];
    if !settings.scrape_urls.is_empty() {
        let targets = settings.scrape_urls.iter().map(|url| configured(url)).collect();
        sources.push(watch::channel(targets).1);
    }
    if let Some(path) = &settings.scrape_file {
        sources.push(watch_file(path.clone(), stop.clone()).await?);
    }
    Ok(sources)
}

fn configured(url: &str) -> ScrapeTarget {
    ScrapeTarget { key: url.into(), url: url.to_owned(), namespace: "".into(), connected: true, registered_at_ms: None }
}

fn registered(mut proxies: watch::Receiver<Arc<[Target]>>, stop: CancellationToken) -> watch::Receiver<Targets> {
    let convert = |proxies: &[Target]| -> Targets { proxies.iter().map(proxy).collect() };
    let (sender, receiver) = watch::channel(convert(&proxies.borrow_and_update()));
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(proxies.changed()).await {
            sender.send_replace(convert(&proxies.borrow_and_update()));
        }
    });
    receiver
}

fn proxy(target: &Target) -> ScrapeTarget {
    ScrapeTarget {
        key: target.id.as_str().into(),
        url: target.url.clone(),
        namespace: target.identity.namespace.as_str().into(),
        connected: target.connected,
        registered_at_ms: Some(target.registered_at_ms),
    }
}
