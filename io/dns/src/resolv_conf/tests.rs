//! resolv.conf as found in the wild.

use super::name_servers;

fn check(text: &str, expected: &[&str]) {
    let servers: Vec<_> = name_servers(text).iter().map(ToString::to_string).collect();
    assert_eq!(servers, expected, "{text:?}");
}

#[test]
fn servers_in_order_each_once() {
    check(
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.1\n",
        &["192.0.2.1:53", "[2001:db8::1]:53"],
    );
    check("# x\nsearch a.b\n\tnameserver\t192.0.2.9 # why\noptions ndots:5\n", &["192.0.2.9:53"]);
    check("nameserver fe80::1%eth0", &["[fe80::1]:53"]);
}

#[test]
fn what_is_skipped() {
    check("", &[]);
    check("nameserver\nnameserver x\n;nameserver 192.0.2.1\nnameservers 192.0.2.1", &[]);
    let many: String = (0..40).map(|i| format!("nameserver 192.0.2.{i}\n")).collect();
    assert_eq!(name_servers(&many).len(), super::SERVERS_MAX);
}
