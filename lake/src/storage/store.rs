//! Object store: a local folder, or a bucket of S3 or a compatible server.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_common::excerpt;
use marketlake_model::Millis;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use url::Url;
use uuid::Uuid;

use crate::error::LakeError;
use crate::storage::diagnostic::{Diagnostic, Severity};
use crate::storage::local_folder::{LocalFolder, create_folder};
use crate::storage::object::Object;
use crate::storage::options::StoreOptions;
use crate::storage::retry::retry;
use crate::storage::s3::bucket::Bucket;
use crate::storage::s3::connect;

/// A larger object is written in parts of this size.
const PART_BYTES: usize = 8 << 20;
/// Objects that are read at the same time.
const FETCH_CONCURRENCY: usize = 8;

/// An opened store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// The folder, where it is one.
    local: Option<LocalFolder>,
    bucket: Option<Bucket>,
    shown: String,
}

impl Store {
    /// Opens a store; a folder is made where it is missing.
    ///
    /// # Errors
    /// Fails if the address cannot be used, or the folder cannot be made.
    pub async fn open(options: &StoreOptions) -> Result<Self, LakeError> {
        let address =
            |reason: String| LakeError::InvalidUrl(format!("{}: {reason}", excerpt(&options.url)));
        let url = Url::parse(&options.url).map_err(|error| address(error.to_string()))?;
        let (mut local, mut bucket) = (None, None);
        let objects: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let folder = url
                    .to_file_path()
                    .map_err(|()| address("expected file:///folder".to_owned()))?;
                create_folder(&folder).map_err(|error| address(error.to_string()))?;
                local = Some(LocalFolder::new(&folder));
                Arc::new(LocalFileSystem::new_with_prefix(&folder)?.with_automatic_cleanup(true))
            }
            "s3" => {
                let name = url
                    .host_str()
                    .ok_or_else(|| address("expected s3://bucket/prefix".to_owned()))?;
                let prefix = Path::parse(url.path().trim_matches('/'))
                    .map_err(|error| address(error.to_string()))?;
                let opened = Bucket::open(name, prefix.clone(), options).await;
                let objects = connect::objects(name, options, opened.sdk())?;
                bucket = Some(opened);
                Arc::new(PrefixStore::new(objects, prefix))
            }
            other => {
                return Err(address(format!(
                    "expected file:// or s3://, got {}://",
                    excerpt(other)
                )));
            }
        };
        Ok(Self {
            objects,
            local,
            bucket,
            shown: options.url.clone(),
        })
    }

    /// A store behind another implementation, for instance one that fails on purpose.
    #[must_use]
    pub fn over(objects: Arc<dyn ObjectStore>, shown: &str) -> Self {
        Self {
            objects,
            local: None,
            bucket: None,
            shown: shown.to_owned(),
        }
    }

    /// Wraps the store's calls in another implementation.
    #[must_use]
    pub fn through(&self, objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            ..self.clone()
        }
    }

    /// Probes the connection by listing an empty prefix.
    ///
    /// # Errors
    /// Fails if the store does not answer, or refuses.
    pub async fn probe(&self) -> Result<(), LakeError> {
        let mut listing = self.objects.list(Some(&Path::from("probe")));
        match listing.next().await {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The implementation below it.
    #[must_use]
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The bucket, where it is one.
    pub(crate) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// Diagnoses the store by trying it; leaves nothing behind. `now` is the time by this machine's
    /// clock.
    pub async fn diagnose(&self, now: Millis) -> Vec<Diagnostic> {
        match &self.bucket {
            Some(bucket) => bucket.diagnose(now).await,
            None => vec![self.diagnose_folder().await],
        }
    }

    async fn diagnose_folder(&self) -> Diagnostic {
        let path = Path::from(format!("doctor/{}", Uuid::now_v7().simple()));
        let tried = async {
            self.put(&path, Bytes::from_static(b"doctor")).await?;
            let read = self.read_unchecked(&path).await;
            self.delete(&path).await?;
            read
        };
        match tried.await {
            Ok(_) => Diagnostic::new("folder", Severity::Good, "can be written, read and flushed"),
            Err(error) => Diagnostic::new("folder", Severity::Bad, error.to_string()),
        }
    }

    /// Writes an object that is not there yet. Writing it again, where an answer was lost, does no
    /// harm.
    pub(crate) async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), LakeError> {
        retry(|| async { self.put_once(key, bytes.clone()).await }).await?;
        match &self.local {
            Some(local) => local.flush(key).await,
            None => Ok(()),
        }
    }

    async fn put_once(&self, key: &Path, bytes: Bytes) -> object_store::Result<()> {
        if bytes.len() <= PART_BYTES {
            return self.create(key, bytes).await;
        }
        // No server takes a condition on each part; its key is new.
        let mut upload = self.objects.put_multipart(key).await?;
        for start in (0..bytes.len()).step_by(PART_BYTES) {
            let part = bytes.slice(start..bytes.len().min(start + PART_BYTES));
            if let Err(error) = upload.put_part(part.into()).await {
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.complete().await?;
        Ok(())
    }

    /// Puts an object under the condition that there is none.
    async fn create(&self, key: &Path, bytes: Bytes) -> object_store::Result<()> {
        let payload = PutPayload::from_bytes(bytes.clone());
        let put = self.objects.put_opts(key, payload, PutMode::Create.into());
        match put.await {
            Err(exists @ object_store::Error::AlreadyExists { .. }) => {
                // Its own, where the answer to an attempt before was lost.
                let is_own = self.objects.get(key).await?.bytes().await? == bytes;
                if is_own { Ok(()) } else { Err(exists) }
            }
            put => put.map(|_| ()),
        }
    }

    /// Reads an object that may be replaced, and the version that it is; `None` where there is none
    /// yet. Of one that is longer than `max_bytes`, only the first bytes, some more than that.
    pub(crate) async fn read_version(
        &self,
        path: &Path,
        max_bytes: usize,
    ) -> Result<Option<(Bytes, UpdateVersion)>, LakeError> {
        let read = retry(|| async {
            let found = self.objects.get(path).await?;
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            let mut stream = found.into_stream();
            let mut bytes = BytesMut::new();
            while bytes.len() <= max_bytes
                && let Some(some) = stream.try_next().await?
            {
                bytes.extend_from_slice(&some);
            }
            Ok((bytes.freeze(), version))
        });
        match read.await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether a folder has the name, where the store is a local folder.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        let local = self.local.as_ref();
        local.is_some_and(|local| local.has_folder(name))
    }

    /// Writes an object in place of the version that was read, or where there was none. False where
    /// another came first, which may have been an attempt of ours whose answer was lost.
    pub(crate) async fn replace(
        &self,
        path: &Path,
        bytes: Bytes,
        read: Option<UpdateVersion>,
    ) -> Result<bool, LakeError> {
        if let Some(local) = &self.local {
            return local.replace(&self.objects, path, bytes, read).await;
        }
        let mode = read.map_or(PutMode::Create, PutMode::Update);
        let put = retry(|| async {
            let payload = PutPayload::from_bytes(bytes.clone());
            self.objects
                .put_opts(path, payload, mode.clone().into())
                .await
        });
        match put.await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a whole object and checks that it is the one that was written.
    pub(crate) async fn read(&self, object: &Object) -> Result<Bytes, LakeError> {
        let path = Path::from(object.path.as_str());
        let bytes = retry(|| async { self.objects.get(&path).await?.bytes().await }).await?;
        object.check_whole(&bytes)?;
        Ok(bytes)
    }

    /// Reads several objects, some at the same time, in the order given.
    pub(crate) async fn read_all(
        &self,
        objects: Vec<Object>,
    ) -> Result<Vec<(Object, Bytes)>, LakeError> {
        stream::iter(objects)
            .map(|object| async move {
                let bytes = self.read(&object).await?;
                Ok((object, bytes))
            })
            .buffered(FETCH_CONCURRENCY)
            .try_collect()
            .await
    }

    /// Reads a whole object whatever it holds.
    pub(crate) async fn read_unchecked(&self, path: &Path) -> Result<Bytes, LakeError> {
        Ok(retry(|| async { self.objects.get(path).await?.bytes().await }).await?)
    }

    /// Reads a part of an object and checks it.
    pub(crate) async fn read_range(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<Bytes, LakeError> {
        let path = Path::from(object.path.as_str());
        let wide = object.widened(&range);
        let read = retry(|| self.objects.get_range(&path, wide.clone())).await;
        let bytes = match read {
            // A range beyond the end is an error of its own in some stores.
            Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => {
                let whole = self.read(object).await.map(|_| ());
                return Err(whole.err().unwrap_or_else(|| error.into()));
            }
            read => read?,
        };
        object
            .check(wide.start, &bytes)
            .map_err(|reason| object.corrupt(reason))?;
        let at = |position: u64| usize::try_from(position - wide.start).unwrap_or(usize::MAX);
        let (start, end) = (at(range.start), at(range.end));
        if start > end || end > bytes.len() {
            return Err(object.corrupt(format!("no bytes {start} to {end}")));
        }
        Ok(bytes.slice(start..end))
    }

    /// Deletes an object; one that is gone already is deleted.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), LakeError> {
        match retry(|| self.objects.delete(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether there is an object of a key.
    pub(crate) async fn has(&self, path: &Path) -> Result<bool, LakeError> {
        match retry(|| self.objects.head(path)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The first objects of a folder, in the order of their keys, behind an offset.
    pub(crate) async fn list_from(
        &self,
        folder: &str,
        offset: Option<&Path>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, LakeError> {
        let folder = Path::from(folder);
        let listed = retry(|| {
            let listing = match offset {
                Some(offset) => self.objects.list_with_offset(Some(&folder), offset),
                None => self.objects.list(Some(&folder)),
            };
            listing.take(limit).try_collect()
        });
        Ok(listed.await?)
    }

    /// Every object there is.
    pub(crate) async fn list(&self) -> Result<Vec<ObjectMeta>, LakeError> {
        Ok(retry(|| self.objects.list(None).try_collect()).await?)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
