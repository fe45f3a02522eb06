//! `kelson-sim`: runs seeds until one fails. `--seed N` replays one; `--minutes N` goes on for so long.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kelson_sim::{Length, run};

/// Steps of the user's work in a run.
const STEPS: usize = 4000;

const USAGE: &str = "usage: kelson-sim [--seed N] [--minutes N] [--steps N]

Runs clusters from seeds and checks each once it has come to rest.
  --seed N      run this seed alone (otherwise 0, 1, 2, …)
  --minutes N   go on for so long (default 1)
  --steps N     how long the user of a run is at work (default 4000)";

struct Options {
    seed: Option<u64>,
    minutes: u64,
    steps: usize,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let seeds = match options.seed {
        Some(seed) => seed..seed + 1,
        None => 0..u64::MAX,
    };
    let mut count = 0;
    for seed in seeds {
        match run(seed, Length { steps: options.steps }) {
            Ok(report) if options.seed.is_some() => println!("{report:?}"),
            Ok(_) => {}
            Err(failure) => {
                let steps = options.steps;
                println!("seed {}, step {}: {}", failure.seed, failure.step, failure.what);
                println!("again: kelson-sim --seed {} --steps {steps}", failure.seed);
                return ExitCode::FAILURE;
            }
        }
        count += 1;
        if Instant::now() > end {
            break;
        }
    }
    println!("{count} runs, no fault");
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { seed: None, minutes: 1, steps: STEPS };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--seed" => options.seed = Some(value.parse().ok()?),
            "--minutes" => options.minutes = value.parse().ok()?,
            "--steps" => options.steps = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}
