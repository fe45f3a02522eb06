//! Pulling from a real registry: Debian's `docker-registry` on a free port of this machine.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciImageManifest,
};
use oci_client::secrets::RegistryAuth;
use serde_json::json;

use super::build::{Place, Tar, config, gzip, read};
use crate::blob::digest;
use crate::config::architecture;
use crate::{Auth, ImageError, PullOptions};

struct Registry {
    process: Child,
    address: String,
    storage: PathBuf,
}

impl Registry {
    /// `htpasswd`: a line of user and hash, if it should ask who we are.
    fn start(place: &Place, htpasswd: Option<&str>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (address, storage) = (format!("127.0.0.1:{port}"), place.path.join("registry"));
        let auth = htpasswd.map_or(String::new(), |line| {
            let file = place.write("htpasswd", line.as_bytes());
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display())
        });
        let settings = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{auth}",
            storage.display()
        );
        let settings = place.write("registry.yml", settings.as_bytes());
        let mut command = Command::new("/usr/bin/docker-registry");
        let process = command.arg("serve").arg(settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("Debian's docker-registry is installed");
        let registry = Self { process, address, storage };
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&registry.address).is_err() {
            assert!(Instant::now() < patience, "the registry starts within 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    fn options(&self) -> PullOptions {
        PullOptions { insecure_registries: vec![self.address.clone()], ..PullOptions::default() }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    fn client() -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })
    }

    async fn digest(&self, name: &str) -> String {
        let reference = self.name(name).parse().unwrap();
        Self::client().fetch_manifest_digest(&reference, &RegistryAuth::Anonymous).await.unwrap()
    }

    /// Pushes a list of images that are there, each with an architecture.
    async fn push_list(&self, name: &str, images: &[(&str, &str)]) {
        let (client, mut manifests) = (Self::client(), Vec::new());
        for (image, architecture) in images {
            let reference = self.name(image).parse().unwrap();
            let accepted = [OCI_IMAGE_MEDIA_TYPE];
            let (bytes, digest) =
                client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &accepted).await.unwrap();
            let platform = json!({"os": "linux", "architecture": architecture});
            manifests.push(json!({"mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": digest, "size": bytes.len(), "platform": platform}));
        }
        let list =
            json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": manifests});
        let list = serde_json::from_value(list).unwrap();
        let reference = self.name(name).parse().unwrap();
        client.push_manifest_list(&reference, &RegistryAuth::Anonymous, list).await.unwrap();
    }

    /// Pushes an image of these layers; answers the configuration.
    async fn push(&self, name: &str, layers: &[&[u8]], auth: &RegistryAuth) -> Vec<u8> {
        let client = Self::client();
        let packed = layers
            .iter()
            .map(|layer| ImageLayer::new(gzip(layer), IMAGE_LAYER_GZIP_MEDIA_TYPE.to_owned(), None));
        let packed: Vec<ImageLayer> = packed.collect();
        let bytes = config(layers);
        let config = Config::new(bytes.clone(), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
        let manifest = OciImageManifest::build(&packed, &config, None);
        let reference = self.name(name).parse().unwrap();
        client.push(&reference, &packed, config, auth, Some(manifest)).await.unwrap();
        bytes
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn layers() -> [Vec<u8>; 2] {
    [Tar::new().file("a", "one").bytes(), Tar::new().file("a", "two").file("b", "x").bytes()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_verifies_shares_and_mounts() {
    let place = Place::new();
    let registry = Registry::start(&place, None);
    let [one, two] = layers();
    let config = registry.push("team/app:v1", &[&one, &two], &RegistryAuth::Anonymous).await;
    let images = place.images();
    let told = Arc::new(AtomicUsize::new(0));
    let count = told.clone();
    let tell = move |done: usize, of: usize| {
        assert!(done <= of && of == 2);
        count.fetch_add(1, Ordering::Relaxed);
    };
    let options = PullOptions { progress: Some(Arc::new(tell)), ..registry.options() };
    let name = registry.name("team/app:v1");
    // Eight at once are one pull: the layers are told of once.
    let pulls = futures_util::future::join_all((0..8).map(|_| images.pull(&name, &options))).await;
    let image = pulls[0].clone().unwrap();
    assert!(pulls.into_iter().all(|pulled| pulled.unwrap() == image));
    assert_eq!(told.load(Ordering::Relaxed), 2);
    assert_eq!((image.id.clone(), image.names.clone()), (digest(&config), vec![name.clone()]));
    assert_eq!(image.layers, [digest(&one), digest(&two)]);
    let root = images.prepare(&image, place.container("c")).unwrap();
    assert_eq!(read(root.join("a")), "two");

    let by_digest = image.digests[0].clone();
    assert!(by_digest.starts_with(&registry.name("team/app@sha256:")), "{by_digest}");
    assert_eq!(images.find(&by_digest).unwrap().id, image.id);
    let again = images.pull(&by_digest, &registry.options()).await.unwrap();
    assert_eq!((again.id, again.digests), (image.id, image.digests));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_for_many_platforms_gives_ours() {
    let place = Place::new();
    let registry = Registry::start(&place, None);
    let [one, two] = layers();
    registry.push("app:theirs", &[&one], &RegistryAuth::Anonymous).await;
    let ours = registry.push("app:ours", &[&two], &RegistryAuth::Anonymous).await;
    registry.push_list("app:both", &[("app:theirs", "s390x"), ("app:ours", architecture())]).await;
    registry.push_list("app:other", &[("app:theirs", "s390x")]).await;
    let images = place.images();
    let image = images.pull(&registry.name("app:both"), &registry.options()).await.unwrap();
    assert_eq!(image.id, digest(&ours));
    let list = registry.digest("app:both").await;
    assert_eq!(image.reference(), registry.name(&format!("app@{list}")), "it is known by the list's digest");
    let error = images.pull(&registry.name("app:other"), &registry.options()).await.unwrap_err().to_string();
    assert!(error.ends_with("no match for platform in manifest: not found"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_as_upstream_says_it() {
    let place = Place::new();
    let registry = Registry::start(&place, None);
    let images = place.images();
    let name = registry.name("no/such:tag");
    let error = images.pull(&name, &registry.options()).await.unwrap_err();
    let expected = format!(
        "failed to pull and unpack image {name:?}: failed to resolve reference {name:?}: {name}: not found"
    );
    assert_eq!(error.chain(), expected);
    let bad = images.pull("Not A Name", &registry.options()).await.unwrap_err();
    assert!(bad.to_string().contains("invalid reference format"), "{bad}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let options = PullOptions { insecure_registries: vec![nobody.clone()], ..PullOptions::default() };
    let error = images.pull(&format!("{nobody}/a"), &options).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry { .. }), "{error}");
    assert!(error.chain().contains("Connection refused"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampered_content_is_refused() {
    let place = Place::new();
    let registry = Registry::start(&place, None);
    let [one, two] = layers();
    registry.push("app:v1", &[&one, &two], &RegistryAuth::Anonymous).await;
    let blob = digest(&gzip(&two)).replace("sha256:", "");
    let file = registry.storage.join(format!("docker/registry/v2/blobs/sha256/{}/{blob}/data", &blob[..2]));
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let images = place.images();
    let error = images.pull(&registry.name("app:v1"), &registry.options()).await.unwrap_err().chain();
    assert!(error.contains("igest"), "{error}");
    assert!(images.find(&registry.name("app:v1")).is_none());
    assert!(!images.shelf().has_layer(&digest(&two)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn basic_authentication() {
    let place = Place::new();
    // The password is "secret".
    let registry = Registry::start(&place, Some(HTPASSWD));
    let [one, _] = layers();
    let user = || RegistryAuth::Basic("me".to_owned(), "secret".to_owned());
    registry.push("private:v1", &[&one], &user()).await;
    let images = place.images();
    let name = registry.name("private:v1");
    let denied = images.pull(&name, &registry.options()).await.unwrap_err();
    let expected = "pull access denied, repository does not exist or may require authorization";
    assert!(denied.to_string().ends_with(expected), "{}", denied.chain());
    let auth = Auth::Basic { user: "me".to_owned(), password: "secret".to_owned() };
    images.pull(&name, &PullOptions { auth, ..registry.options() }).await.unwrap();
}

const HTPASSWD: &str = "me:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
