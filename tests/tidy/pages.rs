//! The Markdown pages: links that lead somewhere, decisions counted once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::sources::root;

/// Every page of ours: the root's and those of `docs/`.
pub fn pages() -> Vec<PathBuf> {
    let root = root();
    let places = [root.clone(), root.join("docs"), root.join("docs/decisions"), root.join("bench")];
    let entries = places.iter().flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_page(path)).collect();
    pages.sort();
    pages
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The text without fenced blocks, in which nothing is a link.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// What the links of a page lead to: `[words](target)`, across line ends too.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|heading| anchor(heading.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn is_foreign(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// Links of a page that lead nowhere.
fn broken_links(page: &Path) -> Vec<String> {
    let (root, own) = (root(), text(page));
    let place = page.parent().expect("a page is in a directory");
    let name = page.strip_prefix(&root).unwrap_or(page).display();
    let mut broken = Vec::new();
    for target in targets(&own).into_iter().filter(|target| !is_foreign(target)) {
        let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let path = if file.is_empty() { page.to_owned() } else { place.join(file) };
        if !path.exists() {
            broken.push(format!("{name} leads to {target}, which is not there"));
        } else if !fragment.is_empty() && !anchors(&text(&path)).contains(fragment) {
            broken.push(format!("{name} leads to {target}, where no heading is called so"));
        }
    }
    broken
}

/// Links of all pages that lead nowhere.
pub fn links() -> Vec<String> {
    pages().iter().flat_map(|page| broken_links(page)).collect()
}

/// Decisions whose number another has, and those that the index leaves out.
pub fn decisions() -> Vec<String> {
    let place = root().join("docs/decisions");
    let index = text(&place.join("README.md"));
    let (mut numbers, mut broken) = (BTreeSet::new(), Vec::new());
    for page in pages().into_iter().filter(|page| page.starts_with(&place)) {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "README.md" {
            continue;
        }
        if !index.contains(&format!("({name})")) {
            broken.push(format!("{name} is not in docs/decisions/README.md"));
        }
        if !numbers.insert(name.split('-').next().unwrap_or_default().to_owned()) {
            broken.push(format!("{name} has another decision's number"));
        }
    }
    broken
}

#[test]
fn links_and_anchors_are_found() {
    let page = "# A b: `c-d`\n[x](y.md#z) and [two\nlines](w)\n```\n[no](link)\n# no heading\n```\n";
    assert_eq!(targets(page), ["y.md#z", "w"]);
    assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), ["a-b-c-d"]);
}
