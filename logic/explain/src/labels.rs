//! Selectors against labels: what matches, and what nearly does.

use std::collections::BTreeMap;

use crate::near::near;

/// Labels, or a selector.
pub(crate) type Labels = BTreeMap<String, String>;

/// One pair of a selector that a set of labels does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// The selector's key.
    pub key: String,
    /// The selector's value.
    pub wanted: String,
    /// The value under that key, if there is one.
    pub found: Option<String>,
    /// Another key under which the wanted value stands.
    pub under: Option<String>,
}

/// Whether every pair of the selector is among the labels.
pub(crate) fn matches(selector: &Labels, labels: Option<&Labels>) -> bool {
    selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

/// How labels differ from what the selector wants, when they are near: some pair matches, or a value is spelled almost so
/// or stands under another key.
pub(crate) fn difference(selector: &Labels, labels: &Labels) -> Option<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut likeness = 0;
    for (key, wanted) in selector {
        let found = labels.get(key);
        if found == Some(wanted) {
            likeness += 1;
            continue;
        }
        let under = labels.iter().find(|(_, value)| *value == wanted).map(|(key, _)| key.clone());
        let is_close = found.is_some_and(|found| !near(wanted, [found.as_str()]).is_empty());
        likeness += usize::from(is_close || under.is_some());
        differences.push(Difference {
            key: key.clone(),
            wanted: wanted.clone(),
            found: found.cloned(),
            under,
        });
    }
    (likeness > 0).then_some(differences)
}

impl Difference {
    /// What is different, in words.
    pub fn words(&self) -> String {
        let Self { key, wanted, found, under } = self;
        match (found, under) {
            (Some(found), _) => format!("{key} is {found}, not {wanted}"),
            (None, Some(under)) => format!("{wanted} is their {under}, and they have no label {key}"),
            (None, None) => format!("they have no label {key}"),
        }
    }

    /// The JSON of a selector's pairs that would match instead.
    pub fn mended(&self) -> String {
        let Self { key, wanted, found, under } = self;
        match (found, under) {
            (Some(found), _) => format!("\"{key}\":\"{found}\""),
            (None, Some(under)) => format!("\"{key}\":null,\"{under}\":\"{wanted}\""),
            (None, None) => format!("\"{key}\":null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, difference, matches};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_pair_counts() {
        let selector = labels(&[("app", "web"), ("tier", "front")]);
        assert!(matches(&selector, Some(&labels(&[("app", "web"), ("tier", "front"), ("x", "y")]))));
        assert!(!matches(&selector, Some(&labels(&[("app", "web")]))));
        assert!(!matches(&selector, None));
    }

    #[test]
    fn nearness_in_words() {
        let check = |selector: &[(&str, &str)], found: &[(&str, &str)], expected: Option<&[&str]>| {
            let got = difference(&labels(selector), &labels(found));
            let got: Option<Vec<String>> = got.map(|all| all.iter().map(super::Difference::words).collect());
            let expected: Option<Vec<String>> =
                expected.map(|all| all.iter().map(ToString::to_string).collect());
            assert_eq!(got, expected, "{selector:?} {found:?}");
        };
        check(&[("app", "webb")], &[("app", "web")], Some(&["app is web, not webb"]));
        check(
            &[("name", "web")],
            &[("app", "web")],
            Some(&["web is their app, and they have no label name"]),
        );
        check(&[("app", "web"), ("v", "2")], &[("app", "web"), ("v", "1")], Some(&["v is 1, not 2"]));
        check(&[("app", "web"), ("v", "2")], &[("app", "web")], Some(&["they have no label v"]));
        check(&[("app", "web")], &[("app", "database")], None);
        check(&[("app", "web")], &[], None);
    }
}
