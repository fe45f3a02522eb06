//! Names that are nearly the one that was asked for: typed wrongly, or with a word more or less.

/// Most suggestions.
const SUGGESTIONS_MAX: usize = 3;

/// Longest name compared; Kubernetes' names are shorter.
const LENGTH_MAX: usize = 253;

/// The names close to `wanted`, closest first, each once; never `wanted` itself.
pub(crate) fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter(|name| *name != wanted)
        .filter_map(|name| closeness(wanted, name).map(|closeness| (closeness, name)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name).take(SUGGESTIONS_MAX).collect()
}

/// How far apart two names are, when they are close: few letters apart, or one the other with words around it.
fn closeness(wanted: &str, name: &str) -> Option<usize> {
    let allowed = (wanted.len().max(name.len()) / 3).clamp(1, 3);
    let distance = distance(wanted, name)?;
    if distance <= allowed && distance < wanted.len().max(name.len()) {
        return Some(distance);
    }
    (has_words(name, wanted) || has_words(wanted, name)).then_some(allowed + distance)
}

/// Whether `name` is `words` with words before or after it.
fn has_words(name: &str, words: &str) -> bool {
    !words.is_empty()
        && (name.strip_prefix(words).is_some_and(|rest| rest.starts_with('-'))
            || name.strip_suffix(words).is_some_and(|rest| rest.ends_with('-')))
}

/// The least number of letters added, left out, replaced or swapped with their neighbour;
/// nothing for names too long to be any.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > LENGTH_MAX {
        return None;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(left != right);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    Some(rows[a.len()][b.len()])
}

#[cfg(test)]
mod tests {
    use super::{distance, near};

    #[test]
    fn letters_are_counted() {
        let check = |a: &str, b: &str, expected: usize| {
            assert_eq!(distance(a, b), Some(expected), "{a} {b}");
            assert_eq!(distance(b, a), Some(expected), "{b} {a}");
        };
        check("", "", 0);
        check("", "web", 3);
        check("web", "web", 0);
        check("web", "wbe", 1);
        check("web", "webb", 1);
        check("kitten", "sitting", 3);
    }

    #[test]
    fn close_names_come_first_and_strangers_never() {
        let names = ["web", "webb", "web-frontend", "frontend", "db", "w"];
        assert_eq!(near("wbe", names), ["web"]);
        assert_eq!(near("web", names), ["webb", "web-frontend"]);
        assert_eq!(near("front-end", names), ["frontend"]);
        assert!(near("zebra", names).is_empty());
        assert!(near("x", names).is_empty(), "a single letter replaced is another name");
        assert!(near("a".repeat(1000).as_str(), names).is_empty());
    }
}
