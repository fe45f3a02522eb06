//! The question, parsed from a command line's words: which Service or name, from where, at which port.

use kelson_model::Protocol;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The Service, or the name somebody uses for it.
    pub target: Target,
    /// The Service's namespace; for a name, that of the one who asks.
    pub namespace: String,
    /// Who connects; a node of the cluster when nobody is named.
    pub from: Option<Asker>,
    /// To which port; every port of the Service when none is named.
    pub port: Option<PortAsked>,
}

/// A Service, or a name as a program spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Service by its name.
    Service(String),
    /// A domain name.
    Name(String),
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A pod, its namespace first.
    Pod(String, String),
    /// A node.
    Node(String),
}

/// A port of a Service, by number or name, of any protocol unless one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAsked {
    /// Which.
    pub port: PortName,
    /// Its protocol.
    pub protocol: Option<Protocol>,
}

/// How a port is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortName {
    /// By its number.
    Number(u16),
    /// By its name.
    Name(String),
}

/// Words that are no question; says which and what to say instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuestion(pub String);

impl std::fmt::Display for BadQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadQuestion {}

impl Target {
    /// Parses `svc/NAME`, `service/NAME`, `services/NAME`, a bare Service name, or a name with dots.
    pub fn parse(text: &str) -> Result<Self, BadQuestion> {
        let bad = || BadQuestion(format!("\"{text}\" is no Service; say svc/NAME, or a name like web.shop"));
        let name = match text.split_once('/') {
            None => text,
            Some(("svc" | "service" | "services", name)) => name,
            Some(_) => return Err(bad()),
        };
        if name.is_empty() || name.contains('/') || name.contains(char::is_whitespace) {
            return Err(bad());
        }
        let name = name.to_owned();
        Ok(if name.contains('.') { Self::Name(name) } else { Self::Service(name) })
    }
}

impl Asker {
    /// Parses `pod/NAME` (in `namespace`), `pod/NAMESPACE/NAME` or `node/NAME`.
    pub fn parse(text: &str, namespace: &str) -> Result<Self, BadQuestion> {
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            ["pod" | "pods" | "po", name] if !name.is_empty() => {
                Ok(Self::Pod(namespace.to_owned(), (*name).to_owned()))
            }
            ["pod" | "pods" | "po", namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self::Pod((*namespace).to_owned(), (*name).to_owned()))
            }
            ["node" | "nodes" | "no", name] if !name.is_empty() => Ok(Self::Node((*name).to_owned())),
            _ => Err(BadQuestion(format!(
                "--from: \"{text}\" is nobody who connects; say pod/NAME, pod/NAMESPACE/NAME or node/NAME"
            ))),
        }
    }
}

impl PortAsked {
    /// Parses `80`, `http`, `53/udp`.
    pub fn parse(text: &str) -> Result<Self, BadQuestion> {
        let bad = || BadQuestion(format!("--port: \"{text}\" is no port; say 80, http or 53/udp"));
        let (port, protocol) = match text.split_once('/') {
            Some((port, protocol)) => {
                (port, Some(Protocol::parse(&protocol.to_uppercase()).ok_or_else(bad)?))
            }
            None => (text, None),
        };
        let port = match port.parse::<u32>() {
            Ok(number) => PortName::Number(u16::try_from(number).ok().filter(|n| *n > 0).ok_or_else(bad)?),
            Err(_) if port.is_empty() || port.contains(char::is_whitespace) => return Err(bad()),
            Err(_) => PortName::Name(port.to_owned()),
        };
        Ok(Self { port, protocol })
    }
}

impl std::fmt::Display for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pod(namespace, name) => write!(f, "pod {namespace}/{name}"),
            Self::Node(name) => write!(f, "node {name}"),
        }
    }
}

#[cfg(test)]
mod tests;
