//! Finds what somebody meant to type.

/// Most suggestions that are worth reading.
const SUGGESTIONS_MAX: usize = 3;

/// Candidates close to a word, nearest first; none when nothing is close.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut close: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .filter_map(|candidate| Some((score(word, candidate)?, candidate)))
        .collect();
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(SUGGESTIONS_MAX).map(|(_, candidate)| candidate.to_owned()).collect()
}

fn score(word: &str, candidate: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (fold(word), fold(candidate));
    // A third of the letters may be wrong; beyond that a suggestion only confuses.
    let allowed = (a.len().max(b.len()) / 3).max(1);
    if a.len().abs_diff(b.len()) > allowed {
        return None;
    }
    let distance = distance(&a, &b);
    (distance <= allowed).then_some(distance)
}

fn fold(word: &str) -> Vec<char> {
    word.chars().take(LETTERS_MAX).flat_map(char::to_lowercase).collect()
}

/// Letters of a word that are compared.
const LETTERS_MAX: usize = 128;

/// Insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let fields = ["host", "hosts", "subset", "port"];
        assert_eq!(nearest("hots", fields), ["host", "hosts"]);
        assert_eq!(nearest("Subsets", fields), ["subset"]);
        assert_eq!(nearest("weight", fields), Vec::<String>::new());
        assert_eq!(nearest("v4", ["v1", "v2", "v3", "v10"]), ["v1", "v2", "v3"]);
        assert_eq!(nearest("", ["a"]), ["a"]);
    }
}
