//! `kelson explain`: why a Service answers, or why it does not. The story: read the objects, look where only looking
//! helps, let `kelson-explain` judge, print.
//!
//! Works against any cluster with read access. It exits 0 when nothing is wrong, 1 when something is, and 2 when that
//! could not be found out. Never writes to the API; connects to nothing but the API, except on a node of the cluster,
//! where it also tries the Service's endpoints and asks cluster DNS.

mod facts;
mod objects;

use std::io::IsTerminal;

use anyhow::Context;
use clap::ValueEnum;
use kelson_explain::{Asker, BadQuestion, Colour, Explanation, PortAsked, Question, Target, Verdict};

use crate::client::{Connection, block_on};
use crate::exit::Told;

/// Something is wrong with the Service.
const WRONG: u8 = 1;
/// The question is none, or the cluster does not answer.
const TROUBLE: u8 = 2;

#[derive(clap::Args)]
pub struct Flags {
    /// The Service (svc/NAME), or a name as a program uses it (web.shop)
    target: String,
    /// Who connects: pod/NAME, pod/NAMESPACE/NAME or node/NAME [default: a node]
    #[arg(long)]
    from: Option<String>,
    /// Port of the Service: 80, http, 53/udp [default: all of them]
    #[arg(long)]
    port: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Domain of cluster names
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match block_on(answer(flags)) {
        Ok(explanation) => {
            print(&explanation, flags.output)?;
            if explanation.verdict == Verdict::Wrong { Err(Told(WRONG).into()) } else { Ok(()) }
        }
        Err(error) => {
            eprintln!("kelson: {error:#}");
            Err(Told(TROUBLE).into())
        }
    }
}

async fn answer(flags: &Flags) -> anyhow::Result<Explanation> {
    let question = question(flags)?;
    let client = flags.connection.client().await?;
    let mut world =
        objects::read(&client, &question, &flags.cluster_domain).await.context("asking the API")?;
    let wanted = kelson_explain::wanted(&world, &question);
    world.facts = facts::look(&world, wanted).await;
    Ok(kelson_explain::explain(&world, &question))
}

fn question(flags: &Flags) -> Result<Question, BadQuestion> {
    let namespace = flags.connection.namespace();
    Ok(Question {
        target: Target::parse(&flags.target)?,
        namespace: namespace.to_owned(),
        from: flags.from.as_deref().map(|from| Asker::parse(from, namespace)).transpose()?,
        port: flags.port.as_deref().map(PortAsked::parse).transpose()?,
    })
}

fn print(explanation: &Explanation, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(explanation)?),
        Output::Text => print!("{}", kelson_explain::text(explanation, colour())),
    }
    Ok(())
}

/// Colours on a terminal only, and not for those who want none (no-color.org).
fn colour() -> Colour {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stdout().is_terminal() && !unwanted { Colour::Ansi } else { Colour::Never }
}
