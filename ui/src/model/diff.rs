//! Line differences between two texts, for the history's side-by-side view and the editor's change bars.

use std::ops::Range;

/// Beyond this product of line counts the middle part is shown as wholly replaced: the table would not fit a page's memory.
const CELLS_MAX: usize = 4_000_000;

/// Lines of context that stay visible around a change.
const CONTEXT: usize = 3;

/// One row of two columns; a missing side means that the other side's line was added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Equal {
        old: usize,
        new: usize,
    },
    Changed {
        old: Option<usize>,
        new: Option<usize>,
    },
    /// Equal lines that are folded away.
    Folded {
        lines: usize,
    },
}

/// Difference of two texts; line numbers count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    pub rows: Vec<Row>,
    pub added: usize,
    pub removed: usize,
}

/// Compares line by line: the longest common subsequence stays, changed stretches stand side by side.
pub fn diff(old: &str, new: &str) -> Diff {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let mut rows = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in common(&old, &new) {
        push_changed(&mut rows, i..a, j..b);
        rows.push(Row::Equal { old: a, new: b });
        (i, j) = (a + 1, b + 1);
    }
    push_changed(&mut rows, i..old.len(), j..new.len());
    let count = |side: fn(&Row) -> bool| rows.iter().filter(|row| side(row)).count();
    let added = count(|row| matches!(row, Row::Changed { new: Some(_), .. }));
    let removed = count(|row| matches!(row, Row::Changed { old: Some(_), .. }));
    Diff { rows: fold(rows), added, removed }
}

/// Numbers, from 1, of the lines of `new` that are not in `old`.
pub fn changed_lines(old: &str, new: &str) -> Vec<u32> {
    let lines = diff(old, new).rows.into_iter().filter_map(|row| match row {
        Row::Changed { new: Some(line), .. } => u32::try_from(line + 1).ok(),
        _ => None,
    });
    lines.collect()
}

fn push_changed(rows: &mut Vec<Row>, mut old: Range<usize>, mut new: Range<usize>) {
    loop {
        match (old.next(), new.next()) {
            (None, None) => return,
            (old, new) => rows.push(Row::Changed { old, new }),
        }
    }
}

/// Pairs of equal lines, in order. Equal ends are paired first, which leaves a small middle in practice.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);

    let mut pairs: Vec<_> = (0..head).map(|i| (i, i)).collect();
    pairs.extend(longest_common(old_middle, new_middle).into_iter().map(|(a, b)| (head + a, head + b)));
    pairs.extend((0..tail).map(|i| (old.len() - tail + i, new.len() - tail + i)));
    pairs
}

fn longest_common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > CELLS_MAX {
        return Vec::new();
    }
    let width = new.len() + 1;
    let mut lengths = vec![0u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            lengths[a * width + b] = if old[a] == new[b] {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut pairs = Vec::new();
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

/// Folds equal stretches that are longer than the context on both sides and a line more.
fn fold(rows: Vec<Row>) -> Vec<Row> {
    let last = rows.len();
    let mut folded = Vec::with_capacity(rows.len());
    let mut start = 0;
    while start < last {
        let run = rows[start..].iter().take_while(|row| matches!(row, Row::Equal { .. })).count();
        if run == 0 {
            folded.push(rows[start].clone());
            start += 1;
            continue;
        }
        let before = if start == 0 { 0 } else { CONTEXT };
        let after = if start + run == last { 0 } else { CONTEXT };
        if run > before + after + 1 {
            folded.extend_from_slice(&rows[start..start + before]);
            folded.push(Row::Folded { lines: run - before - after });
            folded.extend_from_slice(&rows[start + run - after..start + run]);
        } else {
            folded.extend_from_slice(&rows[start..start + run]);
        }
        start += run;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_fold_into_one_row() {
        let text = "a\nb\nc\n";
        assert_eq!(diff(text, text), Diff { rows: vec![Row::Folded { lines: 3 }], added: 0, removed: 0 });
    }

    #[test]
    fn a_changed_line_stands_beside_its_successor() {
        let found = diff("weight: 80\n", "weight: 70\n");
        assert_eq!(found.rows, vec![Row::Changed { old: Some(0), new: Some(0) }]);
        assert_eq!((found.added, found.removed), (1, 1));
    }

    #[test]
    fn an_added_line_leaves_the_other_side_empty() {
        let found = diff("a\nc\n", "a\nb\nc\n");
        assert_eq!(
            found.rows,
            vec![Row::Equal { old: 0, new: 0 }, Row::Changed { old: None, new: Some(1) }, Row::Equal { old: 1, new: 2 }]
        );
    }

    #[test]
    fn long_equal_stretches_keep_three_lines_around_a_change() {
        let old: String = (0..20).map(|i| format!("line {i}\n")).collect();
        let new = old.replace("line 10\n", "line ten\n");
        let rows = diff(&old, &new).rows;
        assert_eq!(rows.first(), Some(&Row::Folded { lines: 7 }));
        assert_eq!(rows.last(), Some(&Row::Folded { lines: 6 }));
        assert_eq!(rows.len(), 1 + 3 + 1 + 3 + 1);
    }

    #[test]
    fn changed_lines_count_from_one() {
        assert_eq!(changed_lines("a\nb\nc\n", "a\nB\nc\nd\n"), vec![2, 4]);
        assert_eq!(changed_lines("", "a\n"), vec![1]);
        assert!(changed_lines("a\n", "").is_empty());
    }

    #[test]
    fn texts_that_are_too_long_to_compare_are_shown_as_replaced() {
        let old: String = (0..2_100).map(|i| format!("old {i}\n")).collect();
        let new: String = (0..2_100).map(|i| format!("new {i}\n")).collect();
        let found = diff(&old, &new);
        assert_eq!((found.added, found.removed), (2_100, 2_100));
    }
}
