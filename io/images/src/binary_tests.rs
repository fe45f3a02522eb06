//! Which executables can be an image of their own.

use super::check_static;

/// An ELF file with program headers of these kinds.
fn elf(kinds: &[u32]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[32] = 64;
    file[54] = 56;
    file[56] = kinds.len() as u8;
    for kind in kinds {
        let mut header = vec![0; 56];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        file.extend(header);
    }
    file
}

fn check(program: &[u8], expected: Result<(), &str>) {
    match (check_static(program), expected) {
        (Ok(()), Ok(())) => {}
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_static_executables_pass() {
    check(&elf(&[1, 2]), Ok(()));
    check(&elf(&[1, 3]), Err("linked dynamically"));
    check(b"#!/bin/sh\n", Err("no executable"));
    check(&elf(&[1, 3])[..80], Err("cut short"));
    let mut odd = elf(&[]);
    odd[32..40].fill(0xff);
    odd[56] = 1;
    check(&odd, Err("cut short"));
}
