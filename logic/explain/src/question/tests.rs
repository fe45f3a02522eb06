//! Words that are questions, and words that are none.

use kelson_model::Protocol;

use super::{Asker, PortAsked, PortName, Target};

#[test]
fn targets() {
    let service = |name: &str| Ok(Target::Service(name.to_owned()));
    for text in ["web", "svc/web", "service/web", "services/web"] {
        assert_eq!(Target::parse(text), service("web"), "{text}");
    }
    assert_eq!(Target::parse("web.shop"), Ok(Target::Name("web.shop".to_owned())));
    assert_eq!(Target::parse("svc/web.shop"), Ok(Target::Name("web.shop".to_owned())));
    for text in ["", "svc/", "pod/web", "svc/a/b", "a b"] {
        let error = Target::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("\"{text}\" is no Service; say svc/NAME, or a name like web.shop"));
    }
}

#[test]
fn askers() {
    let pod = |namespace: &str, name: &str| Ok(Asker::Pod(namespace.to_owned(), name.to_owned()));
    assert_eq!(Asker::parse("pod/x", "shop"), pod("shop", "x"));
    assert_eq!(Asker::parse("pod/other/x", "shop"), pod("other", "x"));
    assert_eq!(Asker::parse("node/n", "shop"), Ok(Asker::Node("n".to_owned())));
    for text in ["x", "pod/", "svc/x", "node/a/b", "pod//x"] {
        assert!(Asker::parse(text, "shop").is_err(), "{text}");
    }
}

#[test]
fn ports() {
    let check = |text: &str, port: PortName, protocol: Option<Protocol>| {
        assert_eq!(PortAsked::parse(text), Ok(PortAsked { port, protocol }), "{text}");
    };
    check("80", PortName::Number(80), None);
    check("53/udp", PortName::Number(53), Some(Protocol::Udp));
    check("http", PortName::Name("http".to_owned()), None);
    for text in ["", "0", "65536", "80/ftp", "/tcp"] {
        assert!(PortAsked::parse(text).is_err(), "{text}");
    }
}
