//! `kelson-fuzz list` and `seeds DIRECTORY`: what `make fuzz` starts from. `replay TARGET FILE…`: a found input again, without
//! the fuzzer. `try TARGET COUNT SEED`: so many inputs made as the tests make theirs.

use std::io::{Error, Result};
use std::path::Path;
use std::process::ExitCode;

use kelson_fuzz::{TARGETS, Target, find};

/// What to say to wrong arguments.
const USAGE: &str = "usage: kelson-fuzz list | seeds DIRECTORY | replay TARGET FILE… | try TARGET COUNT SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["seeds", directory] => write_seeds(Path::new(directory)),
        ["replay", target, files @ ..] => replay(target, files),
        ["try", target, count, seed] => attempt(target, count, seed),
        _ => Err(Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kelson-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every target's seeds, a directory a target.
fn write_seeds(directory: &Path) -> Result<()> {
    for target in TARGETS {
        let place = directory.join(target.name);
        std::fs::create_dir_all(&place)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(place.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Target> {
    find(name).ok_or_else(|| Error::other(format!("no target is called {name}")))
}

fn attempt(name: &str, count: &str, seed: &str) -> Result<()> {
    let usage = |_| Error::other(USAGE);
    kelson_fuzz::run(named(name)?, count.parse().map_err(usage)?, seed.parse().map_err(usage)?);
    Ok(())
}

fn replay(name: &str, files: &[&str]) -> Result<()> {
    let target = named(name)?;
    for file in files {
        (target.body)(&std::fs::read(file)?);
    }
    Ok(())
}
