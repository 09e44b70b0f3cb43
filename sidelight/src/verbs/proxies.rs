//! `sidelight proxies`: which proxies are connected and whether they run the newest configuration.

use sidelight_api::proxy::{Proxy, ProxyList, SyncState};

use crate::cli::{ProxiesArgs, TableOrJson};
use crate::client::ApiClient;
use crate::exit::Exit;
use crate::output::{age, now_ms, print, print_json, table};

const TYPES: [&str; 4] = ["CDS", "EDS", "LDS", "RDS"];

pub async fn run(args: ProxiesArgs) -> Result<(), Exit> {
    let list: ProxyList = ApiClient::new(&args.server)?.get("/api/proxies").await?;
    match args.output {
        TableOrJson::Json => print_json(&list)?,
        TableOrJson::Table => print(&proxy_table(&list.proxies))?,
    }
    Ok(())
}

fn proxy_table(proxies: &[Proxy]) -> String {
    let now = now_ms();
    let row = |proxy: &Proxy| {
        let since = if proxy.connected { age(proxy.connected_at_ms, now) } else { "gone".to_owned() };
        let mut cells = vec![
            format!("{}.{}", proxy.name, proxy.namespace),
            proxy.node_type.clone(),
            proxy.addresses.first().cloned().unwrap_or_default(),
            since,
        ];
        cells.extend(TYPES.map(|name| sync(proxy, name)));
        cells.push(scrape(proxy));
        cells.push(proxy.last_error.clone().unwrap_or_default().replace('\n', " "));
        cells
    };
    let rows: Vec<_> = proxies.iter().map(row).collect();
    table(&["PROXY", "TYPE", "ADDRESS", "CONNECTED", "CDS", "EDS", "LDS", "RDS", "SCRAPE", "ERROR"], &rows)
}

fn sync(proxy: &Proxy, name: &str) -> String {
    match proxy.types.get(name).map(|sync| sync.state) {
        None => "-".to_owned(),
        Some(SyncState::Synced) => "synced".to_owned(),
        Some(SyncState::Waiting) => "waiting".to_owned(),
        Some(SyncState::Refused) => "refused".to_owned(),
    }
}

fn scrape(proxy: &Proxy) -> String {
    match &proxy.scrape {
        None => "-".to_owned(),
        Some(scrape) if scrape.up => "up".to_owned(),
        Some(scrape) => scrape.error.clone().unwrap_or_else(|| "down".to_owned()),
    }
}
