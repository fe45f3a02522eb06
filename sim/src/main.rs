//! `kelson-sim`: runs seeds until one fails. `--seed N` replays one; `--minutes N` goes on for so long.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kelson_sim::{Length, run};

/// Steps of the user's work in a run.
const STEPS: usize = 4000;

const HELP: &str = "\
kelson-sim runs whole clusters in one thread, each from a seed, and checks them at every step and at rest.

usage: kelson-sim [--seed N | --from N] [--minutes N] [--steps N] [--tell]

  --seed N      run this seed alone and tell what it was like
  --from N      begin with this seed and go on with the next ones (default 0)
  --minutes N   go on for so long (default 1); 600 is a night
  --steps N     how long the user of each run is at work (default 4000)
  --tell        with --seed: print every write, as the API has it then
  --help        print this

A run is its seed and its steps: the same two give the same run. In it users make and change workloads, jobs, Services,
Ingresses and quotas, and pods that drive others away for room or a port, while watches lag and break, writes conflict or lose their answers, processes and machines die, and clocks
jump. A quarter of the seeds is calm: nothing fails of itself, and rollouts have to keep within their bounds.
The first fault ends it with status 1, and with the command that shows it again.";

struct Options {
    seed: Option<u64>,
    from: u64,
    minutes: u64,
    steps: usize,
    tell: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match parse(arguments.into_iter()) {
        Ok(options) => go(&options),
        Err(why) => {
            eprintln!("{why}; kelson-sim --help tells more");
            ExitCode::from(64)
        }
    }
}

fn go(options: &Options) -> ExitCode {
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    let seeds = match options.seed {
        Some(seed) => seed..seed.saturating_add(1),
        None => options.from..u64::MAX,
    };
    let mut count = 0;
    for seed in seeds {
        match run(seed, Length { steps: options.steps, tell: options.tell && options.seed.is_some() }) {
            Ok(report) if options.seed.is_some() => println!("{report:#?}"),
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

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seed: None, from: 0, minutes: 1, steps: STEPS, tell: false };
    while let Some(name) = arguments.next() {
        if name == "--tell" {
            options.tell = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a number"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} takes a number, not {value:?}"));
        match name.as_str() {
            "--seed" => options.seed = Some(number()?),
            "--from" => options.from = number()?,
            "--minutes" => options.minutes = number()?,
            "--steps" => options.steps = number()? as usize,
            _ => return Err(format!("there is no {name}")),
        }
    }
    Ok(options)
}
