//! Shares of several destinations.

use super::report::Report;
use crate::codes;
use crate::config::Destination;

/// A destination as far as weights are concerned.
pub(super) struct Weighted<'a> {
    pub destination: &'a Destination,
    pub weight: Option<i32>,
}

impl Weighted<'_> {
    fn name(&self) -> String {
        match (self.destination.subset.as_str(), self.destination.host.as_str()) {
            ("", host) => host.to_owned(),
            (subset, host) => format!("{host} {subset}"),
        }
    }
}

/// `path` is that of the list of destinations.
pub(super) fn check(report: &mut Report<'_>, path: &str, destinations: &[Weighted<'_>]) {
    twice(report, path, destinations);
    for (index, destination) in destinations.iter().enumerate() {
        if let Some(weight @ ..0) = destination.weight {
            let message = format!("a weight of {weight} is not possible: give 0 or more");
            report.error(codes::WEIGHT_RANGE, &format!("{path}[{index}].weight"), message);
            return;
        }
    }
    match destinations {
        [] => {}
        [only] => single(report, path, only),
        several => sum(report, path, several),
    }
}

fn single(report: &mut Report<'_>, path: &str, only: &Weighted<'_>) {
    if let Some(weight) = only.weight.filter(|weight| *weight != 100) {
        let message = format!(
            "the weight of {weight} has no effect: {} is the only destination and gets every request; leave the weight out",
            only.name()
        );
        report.warning(codes::WEIGHT_SINGLE, &format!("{path}[0].weight"), message).suggestions.push("100".to_owned());
    }
}

fn sum(report: &mut Report<'_>, path: &str, several: &[Weighted<'_>]) {
    let weight = |w: &Weighted<'_>| i64::from(w.weight.unwrap_or(0));
    let total: i64 = several.iter().map(weight).sum();
    if total == 0 {
        let message = "all weights are 0, so no destination can be chosen: give weights that add up to 100";
        report.error(codes::WEIGHT_ZERO, path, message);
    } else if total != 100 {
        let shares = several.iter().map(|w| format!("{} {:.1} %", w.name(), weight(w) as f64 * 100.0 / total as f64));
        let message = format!(
            "the weights add up to {total}, not 100; they count as shares of the sum: {}",
            shares.collect::<Vec<_>>().join(", ")
        );
        let (last, mended) = mended(several, total);
        report.warning(codes::WEIGHT_SUM, &format!("{path}[{last}].weight"), message).suggestions.extend(mended);
    }
}

/// The last weight that is written, and what it would have to be.
fn mended(several: &[Weighted<'_>], total: i64) -> (usize, Option<String>) {
    let last = several.iter().rposition(|w| w.weight.is_some()).unwrap_or(0);
    let weight = 100 - total + several.get(last).and_then(|w| w.weight).map_or(0, i64::from);
    (last, (0..=100).contains(&weight).then(|| weight.to_string()))
}

fn twice(report: &mut Report<'_>, path: &str, destinations: &[Weighted<'_>]) {
    for (index, weighted) in destinations.iter().enumerate() {
        if let Some(first) = destinations[..index].iter().position(|other| other.destination == weighted.destination) {
            let message = format!("{} is already destination {}: put the two together", weighted.name(), first + 1);
            report.warning(codes::DESTINATION_TWICE, &format!("{path}[{index}].destination"), message);
        }
    }
}
