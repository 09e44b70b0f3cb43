//! Counts the rows that the graph did not draw, for `/metrics`: the graph itself only knows labels and numbers.

use std::collections::HashMap;
use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::call::Skipped;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    reason: &'static str,
}

/// Of this process, all graphs together.
static ROWS: LazyLock<Family<Reason, Counter>> = LazyLock::new(Family::default);

/// A clone counts on with the others.
#[must_use]
pub fn rows() -> Family<Reason, Counter> {
    ROWS.clone()
}

pub(super) fn count(skipped: &HashMap<Skipped, u64>) {
    for (skipped, rows) in skipped {
        let reason = match skipped {
            Skipped::LabelAbsent => "label_absent",
            Skipped::BadSource => "bad_source",
            Skipped::BadDestination => "bad_destination",
            Skipped::NotWanted => "not_wanted",
        };
        ROWS.get_or_create(&Reason { reason }).inc_by(*rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_reason() {
        let before = rows().get_or_create(&Reason { reason: "bad_source" }).get();
        count(&HashMap::from([(Skipped::BadSource, 3), (Skipped::NotWanted, 1)]));
        // Other tests draw graphs meanwhile.
        assert!(rows().get_or_create(&Reason { reason: "bad_source" }).get() >= before + 3);
    }
}
