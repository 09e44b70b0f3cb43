//! The critical path: what would have to be faster for the root to end sooner.

use super::facts::Facts;

/// A stretch of the path that is a span's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which span.
    pub span: usize,
    pub from_ns: i64,
    pub to_ns: i64,
}

/// Walks back from the root's end: what a span waited for last is its child that ended last, and before that child's
/// start the one that had ended last by then. A child counts as far as it lies within its parent.
pub(super) fn path(facts: &[Facts<'_>], children: &[Vec<usize>], root: usize) -> Vec<Segment> {
    let mut path = Vec::new();
    let mut waiting = vec![Segment { span: root, from_ns: facts[root].start_ns, to_ns: facts[root].end_ns() }];
    while let Some(part) = waiting.pop() {
        let mut until_ns = part.to_ns;
        for child in latest_first(facts, &children[part.span], part) {
            // What ran beside a child that ended later is not what was waited for.
            if child.to_ns > until_ns {
                continue;
            }
            own_time(&mut path, part.span, child.to_ns, until_ns);
            until_ns = child.from_ns;
            waiting.push(child);
        }
        own_time(&mut path, part.span, part.from_ns, until_ns);
    }
    path.sort_unstable_by_key(|segment| segment.from_ns);
    path
}

fn own_time(path: &mut Vec<Segment>, span: usize, from_ns: i64, to_ns: i64) {
    if from_ns < to_ns {
        path.push(Segment { span, from_ns, to_ns });
    }
}

fn latest_first(facts: &[Facts<'_>], children: &[usize], within: Segment) -> Vec<Segment> {
    let mut parts: Vec<Segment> = children
        .iter()
        .map(|&span| Segment {
            span,
            from_ns: facts[span].start_ns.max(within.from_ns),
            to_ns: facts[span].end_ns().min(within.to_ns),
        })
        .filter(|part| part.from_ns < part.to_ns)
        .collect();
    parts.sort_unstable_by_key(|part| std::cmp::Reverse((part.to_ns, part.from_ns, part.span)));
    parts
}
