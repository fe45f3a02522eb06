//! `kelson image`: brings images onto the node and shows what is there.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use kelson_images::{Images, PullOptions};

#[derive(clap::Args)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
    /// The cluster's data directory
    #[arg(long, global = true, default_value = "/var/lib/kelson")]
    data_dir: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Import a docker archive, an OCI archive or a tar of a root file system
    Import {
        /// The archive; may be compressed with gzip or zstd
        file: PathBuf,
        /// Name for the image; a docker archive brings its own
        #[arg(long)]
        name: Option<String>,
    },
    /// Make an image of one static executable
    FromBinary {
        /// The executable
        file: PathBuf,
        /// Name for the image
        #[arg(long)]
        name: String,
        /// Argument the executable is started with; may be repeated
        #[arg(long)]
        arg: Vec<String>,
    },
    /// Pull an image from its registry
    Pull {
        /// `nginx:1.14.2` means docker.io/library/nginx:1.14.2
        name: String,
        /// Registry (host[:port]) to pull from over plain HTTP; may be repeated
        #[arg(long)]
        insecure_registry: Vec<String>,
    },
    /// List the images that are there
    Ls,
}

pub fn run(flags: Flags) -> anyhow::Result<()> {
    let directory = flags.data_dir.join("images");
    crate::up::lock::make_private(&flags.data_dir)?;
    let images = Images::open(&directory).with_context(|| format!("opening {}", directory.display()))?;
    match flags.command {
        Command::Import { file, name } => import(&images, &file, name.as_deref()),
        Command::FromBinary { file, name, arg } => {
            print_imported(&images.import_binary(&file, &name, &arg)?);
            Ok(())
        }
        Command::Pull { name, insecure_registry } => pull(&images, &name, insecure_registry),
        Command::Ls => list(&images),
    }
}

fn import(images: &Images, file: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let imported = images.import(file, name).with_context(|| format!("importing {}", file.display()))?;
    print_imported(&imported);
    Ok(())
}

fn print_imported(image: &kelson_images::Image) {
    for name in &image.names {
        println!("imported {name}");
    }
}

fn pull(images: &Images, name: &str, insecure_registries: Vec<String>) -> anyhow::Result<()> {
    let progress = |done: usize, of: usize| eprintln!("layer {done} of {of}");
    let options = PullOptions {
        insecure_registries,
        progress: Some(std::sync::Arc::new(progress)),
        ..PullOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let image = runtime.block_on(images.pull(name, &options))?;
    println!("pulled {} ({})", image.names.join(", "), image.id);
    Ok(())
}

fn list(images: &Images) -> anyhow::Result<()> {
    println!("{:<60} {:<15} SIZE", "IMAGE", "ID");
    for image in images.list()? {
        let id: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        for name in &image.names {
            println!("{name:<60} {id:<15} {:.1}MB", image.size as f64 / 1e6);
        }
    }
    Ok(())
}
