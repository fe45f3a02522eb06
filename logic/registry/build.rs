//! Packs the text of the API's types (`src/schema/models.txt`), which is half a megabyte and seldom asked for.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

const TEXT: &str = "src/schema/models.txt";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TEXT}");
    let text = std::fs::read(TEXT)?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&text)?;
    let out = std::env::var_os("OUT_DIR").expect("cargo says where to");
    std::fs::write(Path::new(&out).join("models.zlib"), packed.finish()?)
}
