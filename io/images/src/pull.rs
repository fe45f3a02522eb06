//! An image from its registry: manifest, configuration, the layers that are not here yet, each checked by its digest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use oci_spec::image::ImageConfiguration;

use crate::archive::assemble;
use crate::error::file;
use crate::layer::{Layer, Layers};
use crate::{Image, ImageError, digest, name};

/// Bytes of an image's configuration.
const CONFIG_BYTES_MAX: i64 = 8 << 20;
/// Compressed bytes of one layer.
const BLOB_BYTES_MAX: i64 = 32 << 30;
/// Layers of one image; overlayfs stacks no more.
const LAYERS_MAX: usize = 500;

/// Who pulls.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user of the registry.
    Basic { user: String, password: String },
}

/// Told of every layer: how many of the image's layers are there, of how many.
pub type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// How to pull.
#[derive(Clone, Default)]
pub struct PullOptions {
    /// Registries, `host` or `host:port`, asked over plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Who pulls.
    pub credentials: Credentials,
    /// Told how far it is.
    pub progress: Option<Progress>,
}

/// Pulls the image with this full name, its layers into `layers`.
pub async fn pull(layers: &Arc<Layers>, full: &str, options: &PullOptions) -> Result<Image, ImageError> {
    let source = Source::new(full, options)?;
    let (manifest, manifest_digest) = source.manifest(options).await?;
    if manifest.layers.len() > LAYERS_MAX {
        return Err(layer_error(full, format!("the image has more than {LAYERS_MAX} layers")));
    }
    let config = source.config(&manifest.config).await?;
    let diff_ids = config.rootfs().diff_ids().clone();
    if diff_ids.len() != manifest.layers.len() {
        return Err(layer_error(full, "its manifest and its configuration list different layers".into()));
    }
    let mut added = Vec::new();
    for (descriptor, diff_id) in manifest.layers.iter().zip(&diff_ids) {
        added.push(source.layer(layers, descriptor, diff_id).await?);
        if let Some(progress) = &options.progress {
            progress(added.len(), diff_ids.len());
        }
    }
    let mut image = assemble(manifest.config.digest.clone(), config, &added, vec![full.to_owned()]);
    image.digests =
        vec![format!("{}/{}@{manifest_digest}", source.reference.registry(), source.reference.repository())];
    Ok(image)
}

/// One image at one registry.
struct Source {
    full: String,
    reference: Reference,
    client: Client,
}

impl Source {
    fn new(full: &str, options: &PullOptions) -> Result<Self, ImageError> {
        // Installed by the first to ask; whoever did, it is ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let protocol = ClientProtocol::HttpsExcept(options.insecure_registries.clone());
        let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
        Ok(Self { full: full.to_owned(), reference: name::parse(full)?, client })
    }

    async fn manifest(
        &self,
        options: &PullOptions,
    ) -> Result<(oci_client::manifest::OciImageManifest, String), ImageError> {
        let auth = match &options.credentials {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Basic { user, password } => RegistryAuth::Basic(user.clone(), password.clone()),
        };
        let asked = self.client.pull_image_manifest(&self.reference, &auth).await;
        asked.map_err(|error| self.error("failed to resolve reference", error))
    }

    async fn config(&self, descriptor: &OciDescriptor) -> Result<ImageConfiguration, ImageError> {
        self.refuse_size(descriptor, CONFIG_BYTES_MAX)?;
        let mut bytes = Vec::new();
        let fetched = self.client.pull_blob(&self.reference, descriptor, &mut bytes).await;
        fetched.map_err(|error| self.error("failed to fetch the configuration", error))?;
        let found = digest::of(&bytes);
        if found != descriptor.digest {
            let expected = descriptor.digest.clone();
            return Err(ImageError::Digest { what: "the configuration".into(), found, expected });
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| layer_error(&self.full, format!("its configuration: {error}")))
    }

    /// The layer, fetched unless it is here.
    async fn layer(
        &self,
        layers: &Arc<Layers>,
        descriptor: &OciDescriptor,
        diff_id: &str,
    ) -> Result<Layer, ImageError> {
        if let Some(layer) = layers.have(diff_id) {
            return Ok(layer);
        }
        self.refuse_size(descriptor, BLOB_BYTES_MAX)?;
        let blob = Aside(layers.aside());
        let mut writer = tokio::fs::File::create(&blob.0).await.map_err(file("make", &blob.0))?;
        let fetched = self.client.pull_blob(&self.reference, descriptor, &mut writer).await;
        fetched.map_err(|error| self.error("failed to copy a layer", error))?;
        drop(writer);
        let (layers, diff_id) = (layers.clone(), diff_id.to_owned());
        // Unpacking is disk and CPU; it has a thread of its own.
        let unpacking = tokio::task::spawn_blocking(move || unpack(&layers, &blob.0, &diff_id));
        unpacking.await.expect("unpacking does not panic")
    }

    fn refuse_size(&self, descriptor: &OciDescriptor, most: i64) -> Result<(), ImageError> {
        if (0..=most).contains(&descriptor.size) && digest::hex(&descriptor.digest).is_some() {
            return Ok(());
        }
        Err(layer_error(
            &self.full,
            format!("{} has {} bytes; up to {most} are taken", descriptor.digest, descriptor.size),
        ))
    }

    fn error(&self, operation: &str, error: OciDistributionError) -> ImageError {
        let image = self.full.clone();
        if is_not_found(&error) {
            return ImageError::NotFound { image };
        }
        ImageError::Registry { image, operation: operation.to_owned(), source: Box::new(error) }
    }
}

fn unpack(layers: &Layers, blob: &Path, diff_id: &str) -> Result<Layer, ImageError> {
    let opened = std::fs::File::open(blob).map_err(file("open", blob))?;
    layers.add(std::io::BufReader::with_capacity(1 << 20, opened), Some(diff_id))
}

fn is_not_found(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            use oci_client::errors::OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
            envelope.errors.iter().any(|e| matches!(e.code, ManifestUnknown | NameUnknown | NotFound))
        }
        _ => false,
    }
}

fn layer_error(full: &str, reason: String) -> ImageError {
    ImageError::Layer { layer: full.to_owned(), reason }
}

/// A file that is gone when this is.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
