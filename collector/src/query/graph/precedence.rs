//! Which telemetry counts where several tell of the same traffic: metrics, else access logs, else spans.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::peer::known;
use crate::store::{EdgeLabels, EdgeTotals, Totals};

type Hasher = BuildHasherDefault<ahash::AHasher>;

/// What two rows have in common that tell of the same traffic.
#[derive(PartialEq, Eq, Hash)]
enum Place<'a> {
    /// From a workload to a service.
    ToService([&'a str; 4]),
    /// From a workload to a workload.
    ToWorkload([&'a str; 4]),
    /// All that a workload's proxy tells, of its calls or of calls to it: what it counts itself need not be guessed of it.
    /// A gateway's metrics tell only what it sends on; that it was called by somebody unknown is no news.
    Teller([&'a str; 2]),
}

/// Chooses rows.
pub(super) struct Precedence<'a> {
    /// The best telemetry of a place; empty where all rows are of metrics.
    best: HashMap<Place<'a>, u8, Hasher>,
    /// Callers and workloads whose logs tell of the call at the called side. The called side's log does not know under
    /// which name it was called, so the two sides' rows are not the same call to the graph: only one of them counts.
    called: HashSet<[&'a str; 4], Hasher>,
}

impl<'a> Precedence<'a> {
    /// Of the rows of one window.
    pub fn of(rows: &'a [EdgeTotals]) -> Self {
        let mut best: HashMap<Place<'a>, u8, Hasher> = HashMap::default();
        if rows.iter().any(|row| !row.labels.telemetry.is_empty()) {
            for row in rows.iter().filter(|row| is_busy(&row.totals)) {
                for place in places(&row.labels) {
                    let rank = rank(&row.labels);
                    best.entry(place).and_modify(|best| *best = rank.min(*best)).or_insert(rank);
                }
            }
        }
        let logs = rows.iter().filter(|row| &*row.labels.telemetry == "logs" && &*row.labels.reporter == "destination");
        let called = logs.filter(|row| is_busy(&row.totals)).filter_map(|row| pair(&row.labels)).collect();
        Self { best, called }
    }

    /// Whether nothing better tells of this traffic.
    pub fn counts(&self, labels: &EdgeLabels) -> bool {
        let rank = rank(labels);
        if rank == 1 && &*labels.reporter == "source" && pair(labels).is_some_and(|pair| self.called.contains(&pair)) {
            return false;
        }
        rank == 0 || places(labels).all(|place| self.best.get(&place).is_none_or(|best| rank <= *best))
    }
}

fn rank(labels: &EdgeLabels) -> u8 {
    match &*labels.telemetry {
        "" => 0,
        "logs" => 1,
        _ => 2,
    }
}

/// Caller and called workload, where both are known.
fn pair(labels: &EdgeLabels) -> Option<[&str; 4]> {
    let ends = [
        &*labels.source_workload,
        &*labels.source_workload_namespace,
        &*labels.destination_workload,
        &*labels.destination_workload_namespace,
    ];
    (known(ends[0]) && known(ends[2])).then_some(ends)
}

fn is_busy(totals: &Totals) -> bool {
    totals.requests > 0 || totals.tcp_opened + totals.tcp_closed + totals.tcp_sent_bytes + totals.tcp_received_bytes > 0
}

fn places(labels: &EdgeLabels) -> impl Iterator<Item = Place<'_>> {
    let source = [&*labels.source_workload, &*labels.source_workload_namespace];
    let destination = [&*labels.destination_workload, &*labels.destination_workload_namespace];
    let service = [&*labels.destination_service_name, &*labels.destination_service_namespace];
    let teller = if &*labels.reporter == "source" { source } else { destination };
    // Everything unknown is not one workload.
    let is_pair = known(source[0]);
    let to_service = (is_pair && known(service[0])).then_some(Place::ToService([source[0], source[1], service[0], service[1]]));
    let to_workload =
        (is_pair && known(destination[0])).then_some(Place::ToWorkload([source[0], source[1], destination[0], destination[1]]));
    let teller = known(teller[0]).then_some(Place::Teller(teller));
    [to_service, to_workload, teller].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::query::graph::exchange::count;
    use crate::query::graph::fixture::{from, from_outside, options};

    /// Requests of a caller to `reviews-v1`, by what told them.
    fn told(telemetry: &str, source: &str, requests: u64) -> Vec<EdgeTotals> {
        let mut rows = from(source).to("shop/reviews-v1").times(requests).told_by_destination().rows();
        for row in &mut rows {
            Arc::make_mut(&mut row.labels).telemetry = telemetry.into();
        }
        rows
    }

    fn counted(rows: &[EdgeTotals]) -> u64 {
        count(rows, &options("graphType=workload")).calls.iter().map(|exchange| exchange.tally.amount).sum()
    }

    #[test]
    fn metrics_come_before_logs_and_those_before_spans() {
        let all = [told("", "shop/page-v1", 10), told("logs", "shop/page-v1", 9), told("spans", "shop/page-v1", 1)].concat();
        assert_eq!(counted(&all), 10);
        assert_eq!(counted(&[told("logs", "shop/page-v1", 9), told("spans", "shop/page-v1", 1)].concat()), 9);
        assert_eq!(counted(&told("spans", "shop/page-v1", 1)), 1);
    }

    #[test]
    fn a_workload_that_counts_itself_is_not_counted_from_its_spans() {
        let mut half = from_outside().to("shop/reviews-v1").times(3).rows();
        for row in &mut half {
            Arc::make_mut(&mut row.labels).telemetry = "spans".into();
        }
        assert_eq!(counted(&[told("", "shop/page-v1", 10), half.clone()].concat()), 10);
        assert_eq!(counted(&half), 3);
        let sent_on = from("shop/reviews-v1").to("shop/ratings-v1").times(7).told_by_source().rows();
        assert_eq!(counted(&[sent_on, half].concat()), 7);
    }

    #[test]
    fn traffic_elsewhere_is_told_by_whoever_tells_it() {
        let elsewhere = from("shop/page-v1").to("shop/details-v1").times(4).told_by_destination().rows();
        assert_eq!(counted(&[elsewhere, told("spans", "shop/page-v1", 2)].concat()), 6);
    }

    #[test]
    fn two_logs_of_one_request_count_once() {
        let of_logs = |mut rows: Vec<EdgeTotals>, service: &str| {
            for row in &mut rows {
                let labels = Arc::make_mut(&mut row.labels);
                (labels.telemetry, labels.destination_service) = ("logs".into(), service.into());
            }
            rows
        };
        let call = || from("shop/page-v1").to("shop/reviews-v1").times(5);
        let source = of_logs(call().told_by_source().rows(), "reviews.shop.svc.cluster.local");
        let destination = of_logs(call().told_by_destination().rows(), "reviews");
        assert_eq!(counted(&[source.clone(), destination].concat()), 5);
        assert_eq!(counted(&source), 5);
    }

    #[test]
    fn metrics_without_traffic_take_nothing_away() {
        let mut idle = told("", "shop/page-v1", 1);
        for row in &mut idle {
            row.totals = Totals::default();
        }
        assert_eq!(counted(&[idle, told("spans", "shop/page-v1", 2)].concat()), 2);
    }
}
