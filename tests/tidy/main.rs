//! What ARCHITECTURE.md promises of the code, held by reading the code: the arrows between crates, the purity of
//! `logic/`, an opening `//!` in every file, the length of files, the names not used. And of the pages, that they lead
//! where they say.

mod arrows;
mod pages;
mod sources;

use sources::{Source, sources};

/// No file is longer, unless it says why here.
const LINES_MAX: usize = 500;

/// Files allowed to be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// What a decision must not ask for: the world comes in as a parameter.
const WORLD: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "getrandom",
    "thread_rng",
];

/// Hash maps iterate in random order, so `logic/` orders everything; these look up and never iterate.
const HASH_MAPS: &[(&str, &str)] =
    &[("logic/zones/", "one look-up a DNS query, by wire name; what is iterated is the ordered snapshot")];

/// Words that say nothing about what a thing is.
const EMPTY_WORDS: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common"];
/// Words that say nothing when they are the whole name.
const EMPTY_NAMES: &[&str] = &["info", "data"];

fn report(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn arrows_point_from_io_to_logic_and_downwards() {
    report(arrows::broken());
}

#[test]
fn links_lead_somewhere() {
    report(pages::links());
}

#[test]
fn decisions_have_numbers_of_their_own() {
    report(pages::decisions());
}

#[test]
fn every_file_opens_with_its_place_and_invariant() {
    let silent = sources().into_iter().filter(|s| !s.text.trim_start().starts_with("//!"));
    report(silent.map(|s| format!("{} does not open with //!", s.path)).collect());
}

#[test]
fn files_stay_short() {
    let too_long = |s: &Source| s.lines() > LINES_MAX && !LONGER.iter().any(|(path, _)| *path == s.path);
    let broken = sources().into_iter().filter(too_long);
    report(broken.map(|s| format!("{} has {} lines; split it by idea", s.path, s.lines())).collect());
}

#[test]
fn reasons_for_long_files_are_not_outlived() {
    let all = sources();
    let stale =
        LONGER.iter().filter(|(path, _)| !all.iter().any(|s| s.path == *path && s.lines() > LINES_MAX));
    report(stale.map(|(path, why)| format!("{path} needs no exception any more ({why})")).collect());
}

#[test]
fn logic_never_touches_the_world() {
    let mut broken = Vec::new();
    // What packs a crate's own text while it is built is no part of it afterwards.
    let decides = |s: &Source| s.path.starts_with("logic/") && !s.is_test() && !s.path.ends_with("/build.rs");
    for source in sources().into_iter().filter(decides) {
        let code = source.code();
        broken.extend(
            WORLD.iter().filter(|w| code.contains(**w)).map(|w| format!("{} asks for {w}", source.path)),
        );
        let excused = HASH_MAPS.iter().any(|(place, _)| source.path.starts_with(place));
        if !excused && (code.contains("HashMap") || code.contains("HashSet")) {
            broken.push(format!("{} uses a hash map; use an ordered one", source.path));
        }
    }
    report(broken);
}

#[test]
fn names_say_what_things_are() {
    let mut broken = Vec::new();
    for source in sources() {
        let names = source.declared_names();
        broken.extend(names.iter().filter(|n| is_empty_name(n)).map(|n| format!("{}: {n}", source.path)));
    }
    report(broken);
}

/// Whether a snake_case or CamelCase name contains an empty word, or is one.
fn is_empty_name(name: &str) -> bool {
    let snake = name.chars().fold(String::new(), |mut snake, c| {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
        snake
    });
    EMPTY_NAMES.contains(&snake.as_str()) || snake.split('_').any(|word| EMPTY_WORDS.contains(&word))
}

#[test]
fn empty_names_are_recognised() {
    assert!(is_empty_name("PodManager") && is_empty_name("string_utils") && is_empty_name("Data"));
    assert!(!is_empty_name("DataPlane") && !is_empty_name("commonwealth") && !is_empty_name("user_data"));
}
