//! The pages of `docs/`, typed as they are printed: every ```yaml block that names a file is that file, every line after
//! `$` is run on the node and every one after `client$` on a machine beside it, and what is printed below must come.

use std::path::PathBuf;

use crate::harness::{Client, Cluster, KELSON, Output, image};

const NODE: &str = "172.17.0.31";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The image of the old tutorials, which the pages use throughout.
const IMAGE: &str = "katacoda/docker-http-server:latest";

/// What only looks, and may be asked again until it shows what is awaited.
const LOOKS: [&str; 8] = [
    "kubectl get ",
    "kubectl describe ",
    "kubectl logs ",
    "kubectl auth ",
    "curl ",
    "kelson ",
    " exec ",
    " get ",
];

/// A line to type, and what is printed below it.
#[derive(Debug, PartialEq)]
struct Step {
    beside: bool,
    line: String,
    expected: Vec<String>,
}

/// What a page has: files and steps, in order.
#[derive(Debug, PartialEq)]
enum Part {
    File(String, String),
    Step(Step),
}

/// Takes the fenced blocks of a page apart.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut blocks = page.split("\n```");
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (language, text) = block.split_once('\n').unwrap_or((block, ""));
        match language {
            "console" => parts.extend(steps(text).into_iter().map(Part::Step)),
            "yaml" => {
                let name = text.lines().next().and_then(|first| first.strip_prefix("# "));
                parts.extend(name.map(|name| Part::File(name.to_owned(), text.to_owned())));
            }
            _ => {}
        }
    }
    parts
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for printed in text.lines() {
        let typed = [("$ ", false), ("client$ ", true)]
            .into_iter()
            .find_map(|(prompt, beside)| Some((printed.strip_prefix(prompt)?, beside)));
        match (typed, steps.last_mut()) {
            (Some((line, beside)), _) => {
                steps.push(Step { beside, line: line.to_owned(), expected: Vec::new() })
            }
            (None, Some(step)) => step.expected.push(printed.to_owned()),
            (None, None) => panic!("printed before anything was typed: {printed}"),
        }
    }
    steps
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a printed line is as expected, where `…` stands for anything and columns may be as wide as they like.
fn fits(printed: &str, expected: &str) -> bool {
    let (printed, expected) = (words(printed), words(expected));
    let mut pieces = expected.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || last.is_some_and(|piece| piece.is_empty() || printed.ends_with(piece))
}

/// Whether the expected lines come among what was printed, in this order.
fn comes(printed: &str, expected: &[String]) -> bool {
    let mut lines = printed.lines();
    expected.iter().all(|wanted| lines.any(|line| fits(line, wanted)))
}

/// A reader at the node, in a directory with the examples.
struct Reader {
    cluster: Cluster,
    client: Client,
    desk: PathBuf,
    /// What was exported so far.
    exports: String,
}

impl Reader {
    fn sit_down(page: &str) -> Self {
        let flags = ["--node-ip", NODE, "--load-balancer-cidr", "172.17.0.240/28"];
        let mut cluster = Cluster::prepare(&format!("guide-{page}"), &flags);
        let client =
            Client::join(&cluster, &format!("guide-{page}"), &format!("{NODE}/16"), "172.17.0.99/16");
        image::import(&cluster, IMAGE, &["/bin/sh", "-c", image::HTTP_SERVER]);
        cluster.up();
        let desk = cluster.scratch().join("desk");
        std::fs::create_dir_all(&desk).expect("the desk is there");
        cluster.shell(&format!("cp -r {ROOT}/examples {}", desk.display())).succeeded(String::new);
        Self { cluster, client, desk, exports: String::new() }
    }

    fn types(&mut self, step: &Step) {
        if step.line.starts_with("export ") {
            self.exports += &format!("{}; ", step.line);
        }
        if LOOKS.iter().any(|look| step.line.contains(look)) {
            let mut last = String::new();
            let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.cluster.eventually(&step.line, || {
                    let output = self.run(step);
                    last = format!("{}{}", output.text, output.errors);
                    satisfies(&output, step).then_some(())
                });
            }));
            assert!(
                shown.is_ok(),
                "$ {}\nshould print\n{}\nnot\n{last}",
                step.line,
                step.expected.join("\n")
            );
        } else {
            let output = self.run(step);
            assert!(
                satisfies(&output, step),
                "$ {}\nshould print\n{}\nnot {output:?}",
                step.line,
                step.expected.join("\n")
            );
        }
    }

    fn run(&self, step: &Step) -> Output {
        if step.beside {
            return self.client.shell(&step.line);
        }
        let kelson = PathBuf::from(KELSON);
        let path = kelson.parent().expect("it is in a directory").display();
        self.cluster.shell(&format!(
            "cd {}; PATH={path}:$PATH; {}{}",
            self.desk.display(),
            self.exports,
            step.line
        ))
    }
}

/// A command that prints what is expected is as expected, however it ends; one of which nothing is said must succeed.
fn satisfies(output: &Output, step: &Step) -> bool {
    let is_well = output.code == 0 || !step.expected.is_empty();
    is_well && comes(&format!("{}{}", output.text, output.errors), &step.expected)
}

fn follow(page: &str) {
    let text = std::fs::read_to_string(format!("{ROOT}/docs/{page}.md")).expect("the page is there");
    let parts = parts(&text);
    assert!(parts.iter().any(|part| matches!(part, Part::Step(_))), "{page} has nothing to type");
    let mut reader = Reader::sit_down(page);
    for part in &parts {
        match part {
            Part::File(name, text) => {
                std::fs::write(reader.desk.join(name), text).expect("the file is written");
            }
            Part::Step(step) => reader.types(step),
        }
    }
}

#[test]
fn services() {
    follow("services");
}

#[test]
fn endpoints() {
    follow("endpoints");
}

#[test]
fn ingress() {
    follow("ingress");
}

#[test]
fn workloads() {
    follow("workloads");
}

#[test]
fn pods() {
    follow("pods");
}

#[test]
fn dns() {
    follow("dns");
}

#[test]
fn explain() {
    follow("explain");
}

#[test]
fn access() {
    follow("access");
}

/// A page with something to type has its test above.
#[test]
fn no_page_is_left_out() {
    let own = include_str!("guides.rs");
    let pages = std::fs::read_dir(format!("{ROOT}/docs")).expect("the pages are there");
    for page in pages.map(|page| page.expect("the page is listed").path()) {
        let text = std::fs::read_to_string(&page).unwrap_or_default();
        let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let has_steps = parts(&text).iter().any(|part| matches!(part, Part::Step(_)));
        assert!(!has_steps || own.contains(&format!("follow(\"{name}\")")), "nothing follows {name}");
    }
}

#[test]
fn blocks_are_taken_apart_and_lines_compared() {
    let page =
        "x\n\n```yaml\n# a.yaml\nb: 1\n```\n\n```\nno\n```\n\n```console\n$ one\nprinted\nclient$ two\n```\n";
    let step = |beside, line: &str, expected: &[&str]| {
        Part::Step(Step {
            beside,
            line: line.into(),
            expected: expected.iter().map(ToString::to_string).collect(),
        })
    };
    let expected = [
        Part::File("a.yaml".into(), "# a.yaml\nb: 1".into()),
        step(false, "one", &["printed"]),
        step(true, "two", &[]),
    ];
    assert_eq!(parts(page), expected);
    let check =
        |printed: &str, expected: &str, does: bool| assert_eq!(fits(printed, expected), does, "{printed}");
    check("a   b  c", "a b c", true);
    check("a b c", "a b", false);
    check("a b c", "b c", false);
    check("web-1 1/1 5s", "web-… 1/1 …", true);
    check("web-1 0/1 5s", "web-… 1/1 …", false);
    check("it is done", "… done", true);
    check("it is done twice", "… done", false);
    assert!(comes("1\n2\n3", &["1".into(), "3".into()]) && !comes("1\n2", &["2".into(), "1".into()]));
}
