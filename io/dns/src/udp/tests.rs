//! What the sockets of an address share, and with whom.

use super::*;

#[test]
fn a_port_that_others_share_is_not_joined() {
    let first = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap();
    let address = first[0].local_addr().unwrap();
    assert_eq!(bind(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let all = bind(address, 3).unwrap();
    assert!(all.iter().all(|socket| socket.local_addr().unwrap() == address));
}
