//! `kelson get KIND [NAME]`: prints the server's own table.

use http::Request;
use kelson_machinery::Object;

use super::{Connection, path};

/// What kubectl asks for: the server chooses columns and renders cells.
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[derive(clap::Args)]
pub struct Flags {
    /// Kind: `pods`, `svc`, `deploy` …
    kind: String,
    /// One object by name
    name: Option<String>,
    /// Also print the columns of `-o wide`
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let kind = path::kind_called(&flags.kind)?;
    let mut url = path::collection(kind, kind.group, kind.version, &flags.connection.namespace);
    if let Some(name) = &flags.name {
        url = format!("{url}/{name}");
    }
    let request = Request::get(url).header("accept", AS_TABLE).body(Vec::new())?;
    let table: Object = flags.connection.client().await?.request(request).await?;
    print!("{}", render(&table, flags.wide));
    Ok(())
}

/// Lays a `meta.k8s.io/v1` Table out in columns three spaces apart.
fn render(table: &Object, wide: bool) -> String {
    let shown: Vec<usize> = array(&table["columnDefinitions"])
        .enumerate()
        .filter(|(_, column)| wide || column["priority"].as_i64().unwrap_or(0) == 0)
        .map(|(index, _)| index)
        .collect();
    let heading =
        array(&table["columnDefinitions"]).map(|c| text(&c["name"]).to_uppercase()).collect::<Vec<_>>();
    let rows = array(&table["rows"]).map(|row| array(&row["cells"]).map(text).collect::<Vec<_>>());
    let lines: Vec<Vec<String>> = std::iter::once(heading)
        .chain(rows)
        .map(|cells| shown.iter().map(|&i| cells.get(i).cloned().unwrap_or_default()).collect())
        .collect();
    if lines.len() == 1 {
        return "No resources found\n".into();
    }
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    lines.iter().map(|line| lay_out(line, &widths)).collect()
}

fn lay_out(line: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> =
        line.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("   ").trim_end())
}

fn array(value: &Object) -> impl Iterator<Item = &Object> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Object) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
