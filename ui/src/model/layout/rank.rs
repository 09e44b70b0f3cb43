//! Which layer each vertex stands in.

/// Edges turned so that none closes a circle; the flag says whether an edge was turned.
pub fn acyclic(vertices: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize, bool)> {
    let mut targets = vec![Vec::new(); vertices];
    let mut called = vec![false; vertices];
    for (number, (from, to)) in edges.iter().enumerate() {
        targets[*from].push((*to, number));
        called[*to] = true;
    }
    let mut turned = vec![false; edges.len()];
    let mut state = vec![State::New; vertices];
    // Callers that nobody calls come first: what points back at them is what runs against the flow.
    let mut order: Vec<usize> = (0..vertices).collect();
    order.sort_by_key(|v| called[*v]);
    for root in order {
        walk(root, &targets, &mut state, &mut turned);
    }
    edges.iter().zip(turned).map(|((from, to), turned)| if turned { (*to, *from, true) } else { (*from, *to, false) }).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// Depth first without recursion: a chain of a thousand services must not overflow the stack.
fn walk(root: usize, targets: &[Vec<(usize, usize)>], state: &mut [State], turned: &mut [bool]) {
    if state[root] != State::New {
        return;
    }
    state[root] = State::Open;
    let mut stack = vec![(root, 0)];
    while let Some((vertex, next)) = stack.last_mut() {
        match targets[*vertex].get(*next) {
            Some((to, edge)) => {
                *next += 1;
                match state[*to] {
                    State::Open => turned[*edge] = true,
                    State::New => {
                        state[*to] = State::Open;
                        stack.push((*to, 0));
                    }
                    State::Done => {}
                }
            }
            None => {
                state[*vertex] = State::Done;
                stack.pop();
            }
        }
    }
}

/// As far up as possible, except that a caller stands directly above what it calls.
pub fn ranks(vertices: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut waiting = vec![0usize; vertices];
    let mut targets = vec![Vec::new(); vertices];
    for (from, to) in edges {
        waiting[*to] += 1;
        targets[*from].push(*to);
    }
    let sources: Vec<usize> = (0..vertices).filter(|v| waiting[*v] == 0).collect();
    let mut rank = vec![0usize; vertices];
    let mut ready = sources.clone();
    while let Some(vertex) = ready.pop() {
        for to in &targets[vertex] {
            rank[*to] = rank[*to].max(rank[vertex] + 1);
            waiting[*to] -= 1;
            if waiting[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    for source in sources {
        if let Some(nearest) = targets[source].iter().map(|to| rank[*to]).min() {
            rank[source] = nearest.saturating_sub(1);
        }
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_opened_where_it_returns_to_the_caller() {
        assert_eq!(acyclic(3, &[(0, 1), (1, 2), (2, 0)]), [(0, 1, false), (1, 2, false), (0, 2, true)]);
    }

    #[test]
    fn late_caller_stands_above_what_it_calls() {
        // 0 → 1 → 2 → 3 and 4 → 3
        assert_eq!(ranks(5, &[(0, 1), (1, 2), (2, 3), (4, 3)]), [0, 1, 2, 3, 2]);
    }

    #[test]
    fn long_chain_does_not_overflow() {
        let edges: Vec<(usize, usize)> = (0..50_000).map(|i| (i, i + 1)).collect();
        assert!(acyclic(50_001, &edges).iter().all(|(_, _, turned)| !turned));
    }
}
