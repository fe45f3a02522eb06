//! The types' shapes and descriptions in `logic/registry/src/schema/models.txt`, held against the library they come from.
//!
//! `k8s-openapi` carries a schema beside every type, which its feature `schemars` would compile into the binary at
//! several megabytes. This reads the same text from the library's source instead. `UPDATE=1` rewrites the file.

mod literal;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Modules whose types are kept. The kinds of others are not served.
const MODULES: [&str; 15] = [
    "api/apps/v1",
    "api/authentication/v1",
    "api/authorization/v1",
    "api/autoscaling/v1",
    "api/autoscaling/v2",
    "api/batch/v1",
    "api/coordination/v1",
    "api/core/v1",
    "api/discovery/v1",
    "api/events/v1",
    "api/networking/v1",
    "api/policy/v1",
    "api/rbac/v1",
    "api/scheduling/v1",
    "api/storage/v1",
];
const META: [&str; 4] = [
    "apimachinery/pkg/apis/meta/v1",
    "apimachinery/pkg/api/resource",
    "apimachinery/pkg/runtime",
    "apimachinery/pkg/util/intstr",
];

/// Where cargo keeps the library's source.
fn library() -> PathBuf {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        // Only what was built here is sure to be there.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("cargo describes the workspace: {}", String::from_utf8_lossy(&output.stderr))
    });
    let packages = metadata["packages"].as_array().expect("there are packages");
    let package =
        packages.iter().find(|package| package["name"] == "k8s-openapi").expect("the library is one");
    let manifest = Path::new(package["manifest_path"].as_str().expect("it has a manifest"));
    manifest.with_file_name("src").join("v1_37")
}

/// Every type's schema, by its Rust path.
struct Types {
    names: BTreeMap<String, String>,
    schemas: BTreeMap<String, Value>,
}

impl Types {
    fn read() -> Self {
        let (root, mut types) = (library(), Self { names: BTreeMap::new(), schemas: BTreeMap::new() });
        for module in MODULES.iter().chain(&META) {
            let files = std::fs::read_dir(root.join(module)).expect("the module is there");
            for file in files.map(|file| file.expect("a listed file").path()) {
                if file.is_file() {
                    types.add(module, &std::fs::read_to_string(&file).expect("source is text"));
                }
            }
        }
        types
    }

    fn add(&mut self, module: &str, source: &str) {
        const HEAD: &str = "\nimpl crate::schemars::JsonSchema for ";
        let Some(at) = source.find(HEAD) else { return };
        let rest = &source[at + HEAD.len()..];
        let ident = rest.split([' ', '{']).next().expect("the type has a name");
        let name = rest.split_once("fn schema_name").expect("it has a schema name").1;
        let name = name.split('"').nth(1).expect("the name is a literal");
        let schema = rest.split_once("crate::schemars::json_schema!(").expect("it has a schema").1;
        self.names.insert(format!("crate::{}::{ident}", module.replace('/', "::")), name.to_owned());
        self.schemas.insert(name.to_owned(), literal::read(schema));
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Types of the API: shapes and descriptions, from k8s-openapi. UPDATE=1 cargo test -p kelson --test schemas\n",
        );
        for (name, schema) in &self.schemas {
            let words = escaped(schema);
            match schema["properties"].as_object() {
                None => writeln!(text, "{name} ={} {words}", self.shape(schema)),
                Some(properties) => {
                    writeln!(text, "{name} {words}").expect("a text takes text");
                    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
                    for (field, property) in properties {
                        let mark = if required.iter().any(|name| *name == field) { "!" } else { "" };
                        writeln!(text, " {field}{mark} {} {}", self.shape(property), escaped(property))
                            .expect("a text takes text");
                    }
                    Ok(())
                }
            }
            .expect("a text takes text");
        }
        text
    }

    /// `string:byte`, `[@model`, `{string` …
    fn shape(&self, schema: &Value) -> String {
        if let Some(path) = schema["$ref"].as_str() {
            // What is not kept is an alpha version's, which nothing served has.
            return self.names.get(path).map_or("object".into(), |name| format!("@{name}"));
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return "int-or-string".into();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("array"), _) => format!("[{}", self.shape(&schema["items"])),
            (Some("object"), _) if schema["additionalProperties"].is_object() => {
                format!("{{{}", self.shape(&schema["additionalProperties"]))
            }
            (Some(kind), Some(format)) => format!("{kind}:{format}"),
            (Some(kind), None) => kind.to_owned(),
            (None, _) => "any".into(),
        }
    }
}

fn escaped(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\\', "\\\\").replace('\n', "\\n")
}

#[test]
fn the_models_are_those_of_the_library() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../logic/registry/src/schema/models.txt");
    let expected = Types::read().text();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("the models are written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = kept.lines().zip(expected.lines()).find(|(kept, expected)| kept != expected);
    assert!(kept == expected, "run with UPDATE=1; the first difference: {differing:?}");
}
