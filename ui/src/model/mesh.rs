//! Which proxies need a look, and why.

use sidelight_api::proxy::{Proxy, SyncState};

/// The types that every proxy is sent, in the order in which they are sent.
pub const TYPES: [&str; 4] = ["CDS", "EDS", "LDS", "RDS"];
/// A push without an answer for longer than this is worth a look.
const ANSWER_MS: i64 = 10_000;

/// Why a proxy needs a look, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    None,
    NotScraped,
    Waiting,
    Gone,
    Refused,
}

pub fn trouble(proxy: &Proxy, now_ms: i64) -> Trouble {
    let refused = proxy.last_error.is_some() || proxy.types.values().any(|sync| sync.state == SyncState::Refused);
    let unanswered = |sync: &sidelight_api::proxy::TypeSync| {
        // A type that a proxy has not asked for was never sent.
        sync.state == SyncState::Waiting && sync.sent_at_ms > 0 && now_ms - sync.sent_at_ms > ANSWER_MS
    };
    if refused {
        Trouble::Refused
    } else if !proxy.connected {
        Trouble::Gone
    } else if proxy.types.values().any(unanswered) {
        Trouble::Waiting
    } else if proxy.scrape.as_ref().is_some_and(|scrape| !scrape.up) {
        Trouble::NotScraped
    } else {
        Trouble::None
    }
}

/// Worst first, then by name.
pub fn sorted(proxies: &[Proxy], now_ms: i64) -> Vec<(Trouble, Proxy)> {
    let mut rows: Vec<(Trouble, Proxy)> = proxies.iter().map(|proxy| (trouble(proxy, now_ms), proxy.clone())).collect();
    rows.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| (&x.namespace, &x.name).cmp(&(&y.namespace, &y.name))));
    rows
}

/// Newest push of any type.
pub fn last_push_ms(proxy: &Proxy) -> Option<i64> {
    proxy.types.values().map(|sync| sync.sent_at_ms).max().filter(|at| *at > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxy(name: &str, rds: &str, up: bool, connected: bool) -> Proxy {
        serde_json::from_value(serde_json::json!({
            "node_id": format!("sidecar~127.1.0.1~{name}.bookinfo~d"), "node_type": "sidecar", "name": name, "namespace": "bookinfo",
            "workload": name, "app": name, "version": "v1", "cluster": "c", "addresses": [], "connected": connected, "connected_at_ms": 0,
            "types": {"RDS": {"sent_version": "2", "acked_version": "1", "sent_at_ms": 1000, "acked_at_ms": 0, "state": rds}},
            "scrape": {"url": "http://127.1.0.1:15020", "up": up, "last_at_ms": 0, "duration_ms": 1.0, "samples": 1}
        }))
        .unwrap()
    }

    #[test]
    fn the_worst_stands_first() {
        let proxies = [
            proxy("fine", "synced", true, true),
            proxy("silent", "synced", false, true),
            proxy("refused", "refused", true, true),
            proxy("gone", "synced", true, false),
            proxy("slow", "waiting", true, true),
        ];
        let names: Vec<(Trouble, String)> =
            sorted(&proxies, 60_000).into_iter().map(|(trouble, proxy)| (trouble, proxy.name)).collect();
        assert_eq!(
            names,
            [
                (Trouble::Refused, "refused".to_owned()),
                (Trouble::Gone, "gone".to_owned()),
                (Trouble::Waiting, "slow".to_owned()),
                (Trouble::NotScraped, "silent".to_owned()),
                (Trouble::None, "fine".to_owned())
            ]
        );
    }

    #[test]
    fn a_fresh_push_may_wait_for_its_answer() {
        assert_eq!(trouble(&proxy("slow", "waiting", true, true), 5_000), Trouble::None);
        assert_eq!(last_push_ms(&proxy("slow", "waiting", true, true)), Some(1000));
    }
}
