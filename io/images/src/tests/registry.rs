//! A pull from Debian's docker-registry on loopback.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol, Config as PushedConfig, ImageLayer};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, manifest};
use serde_json::json;

use super::{Tar, store};
use crate::{ImageError, PullOptions, digest};

/// A registry that ends with the test.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    async fn start(directory: &std::path::Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\nlog: {{level: error}}\n",
            directory.join("registry").display()
        );
        let path = super::write(directory, "registry.yml", config.as_bytes());
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { process: command.spawn().expect("docker-registry is installed"), address };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&registry.address).await.is_ok() {
                return registry;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("docker-registry does not listen on {}", registry.address);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Pushes an image of one layer holding `/hello`.
async fn push(registry: &str, name: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tar = Tar::new().file("hello", "pulled").bytes();
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/hello"] },
        "rootfs": { "type": "layers", "diff_ids": [digest::of(&tar)] } });
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let layer = ImageLayer::new(tar, manifest::IMAGE_LAYER_MEDIA_TYPE.to_owned(), None);
    let config = PushedConfig::new(
        config.to_string().into_bytes(),
        manifest::IMAGE_CONFIG_MEDIA_TYPE.to_owned(),
        None,
    );
    let reference = format!("{registry}/{name}").parse().unwrap();
    client
        .push(&reference, &[layer], config, &RegistryAuth::Anonymous, None)
        .await
        .expect("the registry takes it");
}

#[tokio::test]
async fn images_are_pulled_once_and_missing_ones_named() {
    let (directory, images) = store();
    let registry = Registry::start(directory.path()).await;
    push(&registry.address, "team/app:v1").await;
    let options =
        PullOptions { insecure_registries: vec![registry.address.clone()], ..PullOptions::default() };
    let name = format!("{}/team/app:v1", registry.address);

    let (one, two) = tokio::join!(images.pull(&name, &options), images.pull(&name, &options));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((&one.id, &one.names), (&two.id, &vec![name.clone()]));
    assert!(one.digests[0].starts_with(&format!("{}/team/app@sha256:", registry.address)));
    let container = directory.path().join("container");
    let root = images.prepare(&one, &container).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("hello")).unwrap(), "pulled");
    crate::Images::release(&container).unwrap();
    assert!(images.find(&one.digests[0]).unwrap().is_some(), "it is found by digest too");

    let missing = format!("{}/team/app:v2", registry.address);
    let error = images.pull(&missing, &options).await.unwrap_err();
    assert!(matches!(error, ImageError::NotFound { .. }), "{error:?}");
    assert!(error.to_string().ends_with(&format!("{missing}: not found")), "{error}");
}
