//! What readers see while projected files change.

use super::*;

fn payload(files: &[(&str, &str)]) -> Payload {
    files.iter().map(|(path, text)| (PathBuf::from(path), (text.as_bytes().to_vec(), 0o644))).collect()
}

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        Dir(std::env::temp_dir().join(format!("kelson-atomic-{:x}", kelson_process::random_u64())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_appear_change_and_go_through_the_data_link() {
    let dir = Dir::new();
    write(&dir.0, &payload(&[("a", "1"), ("d/b", "2")]), None).expect("written");
    assert_eq!(fs::read_to_string(dir.0.join("a")).expect("a"), "1");
    assert_eq!(fs::read_to_string(dir.0.join("d/b")).expect("b"), "2");
    assert_eq!(fs::read_link(dir.0.join("a")).expect("a link"), Path::new("..data/a"));
    let first = fs::read_link(dir.0.join(DATA)).expect("the link");
    write(&dir.0, &payload(&[("a", "1"), ("d/b", "2")]), None).expect("written");
    assert_eq!(
        fs::read_link(dir.0.join(DATA)).expect("the link"),
        first,
        "unchanged content touches nothing"
    );
    write(&dir.0, &payload(&[("a", "9")]), None).expect("written");
    assert_eq!(fs::read_to_string(dir.0.join("a")).expect("a"), "9");
    assert!(fs::symlink_metadata(dir.0.join("d")).is_err(), "what is gone from the source is gone here");
    assert!(!dir.0.join(first).exists(), "nothing old is left");
}

#[test]
fn a_path_cannot_lead_out() {
    let dir = Dir::new();
    for bad in ["/etc/x", "../x", "a/../../x", "..data", ""] {
        write(&dir.0, &payload(&[(bad, "x")]), None).expect_err(bad);
    }
}
