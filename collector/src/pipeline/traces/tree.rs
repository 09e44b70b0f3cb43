//! Who hangs from whom: parents, roots, and what is odd about them.

use std::collections::HashMap;

use sidelight_api::trace::TraceOddity;

use super::facts::Facts;

pub(super) struct Tree {
    pub parents: Vec<Option<usize>>,
    pub children: Vec<Vec<usize>>,
    /// All spans that hang from none.
    pub roots: Vec<usize>,
    /// The one that the trace is named after; `None` only without spans.
    pub root: Option<usize>,
    pub oddities: Vec<TraceOddity>,
}

type ById = HashMap<[u8; 8], Vec<usize>>;

pub(super) fn build(facts: &[Facts<'_>]) -> Tree {
    let mut oddities = Vec::new();
    let by_id = by_id(facts);
    if by_id.values().any(|same| has_duplicates(facts, same)) {
        oddities.push(TraceOddity::DuplicateId);
    }
    let mut parents: Vec<Option<usize>> = (0..facts.len()).map(|index| parent_of(facts, &by_id, index)).collect();
    let is_own_parent = facts.iter().any(|fact| fact.parent_id == Some(fact.id));
    if break_cycles(facts, &mut parents) || is_own_parent {
        oddities.push(TraceOddity::Cycle);
    }

    let mut children = vec![Vec::new(); facts.len()];
    let mut roots = Vec::new();
    for (index, parent) in parents.iter().enumerate() {
        match parent {
            Some(parent) => children[*parent].push(index),
            None => roots.push(index),
        }
    }
    let root = choose_root(facts, &by_id, &roots, &mut oddities);
    Tree { parents, children, roots, root, oddities }
}

fn by_id(facts: &[Facts<'_>]) -> ById {
    let mut by_id = ById::with_capacity(facts.len());
    for (index, fact) in facts.iter().enumerate() {
        by_id.entry(fact.id).or_default().push(index);
    }
    by_id
}

/// One id may stand for the two sides of an exchange, and for nothing else.
fn has_duplicates(facts: &[Facts<'_>], same: &[usize]) -> bool {
    let servers = same.iter().filter(|&&index| facts[index].is_server()).count();
    servers > 1 || same.len() - servers > 1
}

fn parent_of(facts: &[Facts<'_>], by_id: &ById, index: usize) -> Option<usize> {
    let fact = &facts[index];
    // The server's half of a shared span hangs from the client's.
    if fact.is_server()
        && let Some(client) = by_id[&fact.id].iter().copied().find(|&other| !facts[other].is_server())
    {
        return Some(client);
    }
    let parent_id = fact.parent_id.filter(|parent_id| *parent_id != fact.id)?;
    let candidates = by_id.get(&parent_id)?;
    // What a service does inside an exchange hangs from its own side of it; without one of its own, from the side that
    // answered, since the caller does nothing under its own call.
    let own = candidates.iter().copied().find(|&other| facts[other].host == fact.host && facts[other].service == fact.service);
    let server = || candidates.iter().copied().find(|&other| facts[other].is_server());
    own.or_else(server).or_else(|| candidates.first().copied())
}

/// Cuts every cycle above its earliest span; true when there was one.
fn break_cycles(facts: &[Facts<'_>], parents: &mut [Option<usize>]) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        InWalk(usize),
        Before,
    }
    let mut seen = vec![Seen::Never; facts.len()];
    let mut found = false;
    for start in 0..facts.len() {
        let mut walk = Vec::new();
        let mut next = Some(start);
        while let Some(index) = next {
            match seen[index] {
                Seen::Before => break,
                Seen::InWalk(at) => {
                    found = true;
                    let cycle = &walk[at..];
                    if let Some(&earliest) = cycle.iter().min_by_key(|&&index: &&usize| (facts[index].start_ns, index)) {
                        parents[earliest] = None;
                    }
                    break;
                }
                Seen::Never => {
                    seen[index] = Seen::InWalk(walk.len());
                    walk.push(index);
                    next = parents[index];
                }
            }
        }
        for index in walk {
            seen[index] = Seen::Before;
        }
    }
    found
}

fn choose_root(facts: &[Facts<'_>], by_id: &ById, roots: &[usize], oddities: &mut Vec<TraceOddity>) -> Option<usize> {
    let names_no_parent = |index: usize| facts[index].parent_id.is_none();
    let true_roots = roots.iter().filter(|&&index| names_no_parent(index)).count();
    match true_roots {
        0 if !roots.is_empty() => oddities.push(TraceOddity::MissingRoot),
        0 | 1 => {}
        _ => oddities.push(TraceOddity::SeveralRoots),
    }
    // A span that is its own parent, or whose parent was cut off, misses none.
    if roots.iter().any(|&index| facts[index].parent_id.is_some_and(|parent_id| !by_id.contains_key(&parent_id))) {
        oddities.push(TraceOddity::MissingParent);
    }
    roots.iter().copied().min_by_key(|&index| (!names_no_parent(index), facts[index].start_ns, index))
}
