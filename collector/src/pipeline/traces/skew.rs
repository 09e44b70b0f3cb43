//! Moves the clocks of hosts whose spans lie outside of their callers', as Jaeger does.

use super::facts::{Facts, START_NS_MAX};
use crate::store::SpanKind;

/// By how much each span was moved. Parents come before their children; spans of one host below one call move together.
pub(super) fn adjust(facts: &mut [Facts<'_>], children: &[Vec<usize>], roots: &[usize]) -> Vec<i64> {
    let mut skews = vec![0; facts.len()];
    let mut waiting: Vec<usize> = roots.to_vec();
    while let Some(parent) = waiting.pop() {
        for &child in &children[parent] {
            skews[child] = match facts[child].host == facts[parent].host {
                true => skews[parent],
                false => skew(&facts[child], &facts[parent]),
            };
            let start_ns = facts[child].start_ns;
            facts[child].start_ns = start_ns.saturating_add(skews[child]).clamp(0, START_NS_MAX);
            skews[child] = facts[child].start_ns - start_ns;
            waiting.push(child);
        }
    }
    skews
}

fn skew(child: &Facts<'_>, parent: &Facts<'_>) -> i64 {
    // A message may lie in its queue, and a child that lasts longer than its parent was not waited for: all that is sure
    // is that neither began before it was sent.
    if child.duration_ns > parent.duration_ns || child.kind == SpanKind::Consumer {
        return (parent.start_ns - child.start_ns).max(0);
    }
    if child.start_ns >= parent.start_ns && child.end_ns() <= parent.end_ns() {
        return 0;
    }
    // The way there is taken to be as long as the way back.
    parent.start_ns + (parent.duration_ns - child.duration_ns) / 2 - child.start_ns
}
