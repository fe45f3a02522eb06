//! Pulling from registries.
//!
//! Everything is proved by digest: the manifest and blobs by the client as they stream in, each layer once more by its
//! uncompressed digest as it is unpacked. Pulls of one image that happen at the same time are one pull.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use tokio::io::AsyncWrite;

use crate::catalogue::Image;
use crate::config::ConfigFile;
use crate::error::{ImageError, Result};
use crate::images::Images;
use crate::name::Name;

/// Layers of one image fetched at the same time.
const LAYERS_AT_ONCE: usize = 3;
/// How long a registry may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a registry may stay silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest compressed layer taken.
const LAYER_BYTES_MAX: u64 = 64 << 30;

/// Who to say we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
}

/// Wants to know about progress: layers here, layers in all.
pub type Tell = dyn Fn(usize, usize) + Send + Sync;

/// How to pull.
#[derive(Clone, Default)]
pub struct PullOptions {
    /// Registries (`host[:port]`) spoken to over plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Who to say we are.
    pub auth: Auth,
    /// Told how many layers are here, of how many. From any thread; must not block.
    pub progress: Option<Arc<Tell>>,
}

type Work = BoxFuture<'static, Result<Image>>;
type Pull = Shared<Work>;

/// The pulls under way, by full name and user.
#[derive(Default)]
pub struct Pulls {
    running: Mutex<BTreeMap<(String, String), WeakShared<Work>>>,
}

impl Pulls {
    /// Pulls, or waits for the pull that is under way.
    pub async fn pull(&self, images: &Images, name: &str, options: &PullOptions) -> Result<Image> {
        let name = Name::parse(name)?;
        self.join(images, name, options).await
    }

    fn join(&self, images: &Images, name: Name, options: &PullOptions) -> Pull {
        let user = match &options.auth {
            Auth::Anonymous => String::new(),
            Auth::Basic { user, password } => format!("{user}:{password}"),
        };
        let mut running = self.running.lock().expect("no holder of the lock panics");
        running.retain(|_, pull| pull.upgrade().is_some_and(|pull| pull.peek().is_none()));
        let key = (name.to_string(), user);
        if let Some(pull) = running.get(&key).and_then(WeakShared::upgrade) {
            return pull;
        }
        let pull = pull(images.clone(), name, options.clone()).boxed().shared();
        if let Some(weak) = pull.downgrade() {
            running.insert(key, weak);
        }
        pull
    }
}

async fn pull(images: Images, name: Name, options: PullOptions) -> Result<Image> {
    let full = name.to_string();
    let _held = blocking(&full, {
        let images = images.clone();
        move || images.shelf().hold()
    })
    .await?;
    let source = Source::new(&name, &options);
    let (manifest, digest, config) = source.describe().await?;
    let file = ConfigFile::parse(config.as_bytes(), &full)?;
    if file.rootfs.diff_ids.len() != manifest.layers.len() {
        let why = "its configuration lists other layers than its manifest".to_owned();
        return Err(ImageError::Config { what: full, why });
    }
    let fetch = Fetch { images: &images, source: &source };
    let progress =
        Report { done: AtomicUsize::new(0), of: manifest.layers.len(), tell: options.progress.clone() };
    let layers = manifest.layers.iter().zip(&file.rootfs.diff_ids);
    let fetches = layers.map(|(layer, diff_id)| fetch.layer(layer, diff_id, &progress).boxed());
    let fetches: Vec<BoxFuture<'_, _>> = fetches.collect();
    futures_util::stream::iter(fetches).buffer_unordered(LAYERS_AT_ONCE).try_collect::<()>().await?;
    let names = if name.digest.is_none() { vec![full.clone()] } else { Vec::new() };
    let digests = vec![name.with_digest(name.digest.as_deref().unwrap_or(&digest))];
    let image = blocking(&full, move || images.add_image(config.as_bytes(), names, digests)).await?;
    tracing::info!(image = full, id = image.id, "pulled");
    Ok(image)
}

/// A registry, asked for one image.
struct Source {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
    name: String,
}

impl Source {
    fn new(name: &Name, options: &PullOptions) -> Self {
        // Fails only if somebody installed a provider before, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::HttpsExcept(options.insecure_registries.clone()),
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("kelson/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        let (registry, repository) = (name.registry.clone(), name.repository.clone());
        let reference = match (&name.digest, &name.tag) {
            (Some(digest), _) => Reference::with_digest(registry, repository, digest.clone()),
            (None, tag) => {
                Reference::with_tag(registry, repository, tag.clone().unwrap_or_else(|| "latest".to_owned()))
            }
        };
        let auth = match &options.auth {
            Auth::Anonymous => RegistryAuth::Anonymous,
            Auth::Basic { user, password } => RegistryAuth::Basic(user.clone(), password.clone()),
        };
        Self { client, reference, auth, name: name.to_string() }
    }

    /// The manifest for this platform, the digest the reference stands for (of the list, if it is one for many
    /// platforms), and the configuration.
    async fn describe(&self) -> Result<(OciImageManifest, String, String)> {
        let described =
            self.client.pull_manifest_and_config_and_list_digest(&self.reference, &self.auth).await;
        let (manifest, digest, config, list) = described.map_err(|error| self.failed(error))?;
        Ok((manifest, list.unwrap_or(digest), config))
    }

    /// Says what went wrong as containerd says it.
    fn failed(&self, error: OciDistributionError) -> ImageError {
        use OciDistributionError as E;
        let name = self.name.clone();
        match error {
            E::RegistryError { ref envelope, .. } => match envelope.errors.first().map(|error| &error.code) {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound
                    | OciErrorCode::BlobUnknown,
                ) => ImageError::NotFound { name },
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => ImageError::Denied { name },
                _ => ImageError::Registry { name, source: Arc::new(error) },
            },
            E::ServerError { code: 404, .. } => ImageError::NotFound { name },
            E::ServerError { code: 401 | 403, .. }
            | E::UnauthorizedError { .. }
            | E::AuthenticationFailure(_) => ImageError::Denied { name },
            E::ImageManifestNotFoundError(_) => ImageError::Platform { name },
            other => ImageError::Registry { name, source: Arc::new(other) },
        }
    }
}

/// The layers of one image on their way.
struct Fetch<'a> {
    images: &'a Images,
    source: &'a Source,
}

impl Fetch<'_> {
    async fn layer(&self, layer: &OciDescriptor, diff_id: &str, progress: &Report) -> Result<()> {
        if !self.images.shelf().has_layer(diff_id) {
            self.fetch(layer, diff_id).await?;
        }
        progress.one_more();
        Ok(())
    }

    async fn fetch(&self, layer: &OciDescriptor, diff_id: &str) -> Result<()> {
        let name = &self.source.name;
        let temporary = self.images.shelf().temporary();
        let file =
            tokio::fs::File::create(&temporary.0).await.map_err(ImageError::io("create", &temporary.0))?;
        let size = u64::try_from(layer.size).unwrap_or(0).min(LAYER_BYTES_MAX);
        let out = Bounded { file, left: size };
        let fetched = self.source.client.pull_blob(&self.source.reference, layer, out).await;
        fetched.map_err(|error| self.source.failed(error))?;
        let (images, what, diff_id) = (self.images.clone(), layer.digest.clone(), diff_id.to_owned());
        let unpacked = blocking(name, move || unpack(&images, &temporary.0, &what, &diff_id)).await;
        unpacked.map_err(|source| ImageError::Unpack { name: name.clone(), source: Arc::new(source) })
    }
}

fn unpack(images: &Images, path: &Path, what: &str, diff_id: &str) -> Result<()> {
    let file = std::fs::File::open(path).map_err(ImageError::io("open", path))?;
    images.shelf().add_layer(file, what, Some(diff_id)).map(drop)
}

/// Counts layers and tells whoever wants to know.
struct Report {
    done: AtomicUsize,
    of: usize,
    tell: Option<Arc<Tell>>,
}

impl Report {
    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(tell) = &self.tell {
            tell(done, self.of);
        }
    }
}

/// Takes no more bytes than were promised.
struct Bounded {
    file: tokio::fs::File,
    left: u64,
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if bytes.len() as u64 > self.left {
            return std::task::Poll::Ready(Err(std::io::Error::other(
                "the layer is longer than its manifest says",
            )));
        }
        let written = std::task::ready!(std::pin::Pin::new(&mut self.file).poll_write(context, bytes))?;
        self.left -= written as u64;
        std::task::Poll::Ready(Ok(written))
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.file).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.file).poll_shutdown(context)
    }
}

/// Runs what blocks on its own thread.
async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ImageError::Stopped { name: name.to_owned() }))
}
