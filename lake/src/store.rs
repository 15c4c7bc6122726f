//! The place where objects lie: a folder, or a bucket of anything that speaks S3.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use url::Url;

use crate::LakeError;

const PATIENCE: Duration = Duration::from_secs(20);

/// How to reach a store.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// `file:///folder` or `s3://bucket/prefix`.
    pub url: String,
    /// Address of an S3-compatible server; AWS where there is none.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Access key; else the environment's (`AWS_ACCESS_KEY_ID`, ..).
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
}

/// An opened store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// The folder, where it is one.
    local: Option<PathBuf>,
    shown: String,
}

impl Store {
    /// Opens a store; a folder is made where it is missing.
    ///
    /// # Errors
    /// Where the address cannot be used, or the folder cannot be made.
    pub fn open(options: &StoreOptions) -> Result<Self, LakeError> {
        let address = |reason: String| LakeError::Address(format!("{}: {reason}", options.url));
        let url = Url::parse(&options.url).map_err(|error| address(error.to_string()))?;
        let mut local = None;
        let objects: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let folder = url
                    .to_file_path()
                    .map_err(|()| address("expected file:///folder".to_owned()))?;
                std::fs::create_dir_all(&folder).map_err(|error| address(error.to_string()))?;
                local = Some(folder.clone());
                Arc::new(LocalFileSystem::new_with_prefix(&folder)?.with_automatic_cleanup(true))
            }
            "s3" => {
                let bucket = url
                    .host_str()
                    .ok_or_else(|| address("expected s3://bucket/prefix".to_owned()))?;
                let prefix = Path::parse(url.path().trim_matches('/'))
                    .map_err(|error| address(error.to_string()))?;
                Arc::new(PrefixStore::new(s3(bucket, options)?, prefix))
            }
            other => {
                return Err(address(format!(
                    "expected file:// or s3://, got {other}://"
                )));
            }
        };
        Ok(Self {
            objects,
            local,
            shown: options.url.clone(),
        })
    }

    /// Whether it can be reached: asks for an object that need not be there.
    ///
    /// # Errors
    /// Where the store does not answer, or refuses.
    pub async fn probe(&self) -> Result<(), LakeError> {
        use futures::StreamExt;
        let mut listing = self.objects.list(Some(&Path::from("probe")));
        match listing.next().await {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    pub(crate) async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), LakeError> {
        self.objects.put(key, PutPayload::from_bytes(bytes)).await?;
        match &self.local {
            Some(folder) => flush(folder.join(key.as_ref())).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, LakeError> {
        Ok(self.objects.get(&Path::from(path)).await?.bytes().await?)
    }
}

/// A row must never outlive its object: the file and its folder's entry reach the disk before the commit does.
async fn flush(path: PathBuf) -> Result<(), LakeError> {
    let flushed = tokio::task::spawn_blocking(move || {
        File::open(&path)?.sync_all()?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    });
    let result = flushed
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
    result.map_err(|error| {
        LakeError::Store(object_store::Error::Generic {
            store: "file",
            source: Box::new(error),
        })
    })
}

fn s3(bucket: &str, options: &StoreOptions) -> Result<impl ObjectStore, LakeError> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(
            ClientOptions::new()
                .with_timeout(PATIENCE)
                .with_connect_timeout(Duration::from_secs(5))
                .with_allow_http(
                    options
                        .endpoint
                        .as_deref()
                        .is_some_and(|e| e.starts_with("http://")),
                ),
        )
        .with_retry(RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(30),
            backoff: BackoffConfig::default(),
        });
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
        builder = builder
            .with_access_key_id(id)
            .with_secret_access_key(secret);
    }
    Ok(builder.build()?)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
