//! `kelson delete KIND NAME`.

use http::Request;
use kelson_machinery::Object;

use super::{Connection, path};

#[derive(clap::Args)]
pub struct Flags {
    /// Kind: `pod`, `svc`, `deploy` …
    kind: String,
    /// The object's name
    name: String,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let kind = path::kind_called(&flags.kind)?;
    let collection = path::collection(kind, kind.group, kind.version, &flags.connection.namespace);
    let request = Request::delete(format!("{collection}/{}", flags.name)).body(Vec::new())?;
    flags.connection.client().await?.request::<Object>(request).await?;
    println!("{} \"{}\" deleted", kind.singular, flags.name);
    Ok(())
}
