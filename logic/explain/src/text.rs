//! The walk as a user reads it: a mark and a line a step, details beneath, and what to do next.

use std::fmt::Write;

use crate::step::{Explanation, Step, Verdict};

/// Whether marks are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// With ANSI's colours.
    Ansi,
}

/// Columns the step's word takes.
const WORD_WIDTH: usize = 11;

/// Columns before details.
const INDENT: usize = WORD_WIDTH + 3;

/// The explanation in lines.
pub fn text(explanation: &Explanation, colour: Colour) -> String {
    let mut text = format!("{}, asked by {}\n\n", explanation.service, explanation.from);
    for step in &explanation.steps {
        write_step(&mut text, step, colour);
    }
    for unseen in &explanation.unseen {
        let _ = writeln!(text, "{} could not look at {unseen}", mark(Verdict::Warning, colour));
    }
    let _ = writeln!(text, "\n{}", summary(explanation));
    text
}

fn write_step(text: &mut String, step: &Step, colour: Colour) {
    let _ =
        writeln!(text, "{} {:<WORD_WIDTH$} {}", mark(step.verdict, colour), step.step.word(), step.sentence);
    for detail in &step.details {
        let _ = writeln!(text, "{:INDENT$}{detail}", "");
    }
    if let Some(next) = &step.next {
        let _ = writeln!(text, "{:INDENT$}→ {next}", "");
    }
}

fn summary(explanation: &Explanation) -> String {
    match (explanation.first_wrong(), explanation.verdict) {
        (Some(step), _) => format!("the first thing wrong is at step {}", step.step.word()),
        (None, Verdict::Warning) => "requests get through; see the remarks".to_owned(),
        (None, _) => "nothing is wrong".to_owned(),
    }
}

fn mark(verdict: Verdict, colour: Colour) -> String {
    let (mark, code) = match verdict {
        Verdict::Ok => ("✓", 32),
        Verdict::Warning => ("!", 33),
        Verdict::Wrong => ("✗", 31),
    };
    match colour {
        Colour::Never => mark.to_owned(),
        Colour::Ansi => format!("\u{1b}[{code}m{mark}\u{1b}[0m"),
    }
}
