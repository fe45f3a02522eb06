//! Names of images: what a manifest says, and the full name it means.

use oci_client::Reference;

use crate::ImageError;

/// The longest name taken, in bytes; registries allow less.
const NAME_BYTES_MAX: usize = 1024;

/// The full name a short one means: `nginx:1.14.2` is `docker.io/library/nginx:1.14.2`, `nginx` its `latest`.
pub fn normalize(name: &str) -> Result<String, ImageError> {
    Ok(parse(name)?.whole())
}

/// Parses a name, short or full.
pub(crate) fn parse(name: &str) -> Result<Reference, ImageError> {
    let refused = |reason: String| ImageError::Name { name: name.to_owned(), reason };
    if name.len() > NAME_BYTES_MAX {
        return Err(refused(format!("longer than {NAME_BYTES_MAX} bytes")));
    }
    name.parse().map_err(|error: oci_client::ParseError| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(normalize(name).ok().as_deref(), expected, "{name}");
    }

    #[test]
    fn short_names_mean_the_hub() {
        check("nginx", Some("docker.io/library/nginx:latest"));
        check("nginx:1.14.2", Some("docker.io/library/nginx:1.14.2"));
        check("katacoda/docker-http-server:latest", Some("docker.io/katacoda/docker-http-server:latest"));
    }

    #[test]
    fn full_names_stay() {
        check("192.168.1.106:5000/fastapi:0.0.1", Some("192.168.1.106:5000/fastapi:0.0.1"));
        check("kelson.local/echo:latest", Some("kelson.local/echo:latest"));
        check("localhost/x", Some("localhost/x:latest"));
        let digest = "ghcr.io/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        check(digest, Some(digest));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        check("", None);
        check("Nginx", None);
        check("a b", None);
        check("nginx:", None);
        check(&"a".repeat(2000), None);
    }
}
