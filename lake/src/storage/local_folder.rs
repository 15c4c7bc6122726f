//! Local folder: flushes files and directory entries so that an object survives a power failure,
//! and replaces files conditionally.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use marketlake_common::private_file;
use object_store::{ObjectStore, ObjectStoreExt, UpdateVersion};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use crate::error::LakeError;
use crate::storage::retry::retry;

/// Lock file in the root, held while a file is replaced.
pub(crate) const LOCK: &str = "lake.lock";
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Knows which folders' entries have reached the disk. A new object's own folder is flushed each
/// time, for the object's entry; the folders above it only where the folder below them is new: once
/// a folder and process, and again where it was deleted and made anew. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FolderSync {
    root: Arc<PathBuf>,
    flushed: Arc<Mutex<HashMap<PathBuf, FolderId>>>,
}

/// Tells a folder from another one of the same path.
type FolderId = (u64, Option<SystemTime>);

impl FolderSync {
    /// Flushes files below a root.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: Arc::new(root.to_owned()),
            flushed: Arc::default(),
        }
    }

    /// Folders whose entries must be flushed before a file is sure to be found: its own, and the
    /// parent of each folder on its path that is new. From the file up to the root.
    ///
    /// # Errors
    /// Fails if the folders cannot be looked at.
    pub fn pending(&self, file: &Path) -> io::Result<Vec<PathBuf>> {
        let mut pending: Vec<PathBuf> = file.parent().map(Path::to_owned).into_iter().collect();
        let flushed = self.flushed.lock();
        for folder in self.folders(file) {
            let is_known = flushed.get(&folder) == Some(&id(&fs::metadata(&folder)?));
            if let (false, Some(parent)) = (is_known, folder.parent()) {
                pending.push(parent.to_owned());
            }
        }
        Ok(pending)
    }

    /// Flushes a file, and every entry on its path that may be new.
    ///
    /// # Errors
    /// Fails if the disk fails.
    pub fn flush(&self, file: &Path) -> io::Result<()> {
        File::open(file)?.sync_all()?;
        let folders = self.folders(file);
        let ids: io::Result<Vec<FolderId>> = folders
            .iter()
            .map(|folder| Ok(id(&fs::metadata(folder)?)))
            .collect();
        let ids = ids?;
        for folder in self.pending(file)? {
            File::open(folder)?.sync_all()?;
        }
        self.flushed.lock().extend(folders.into_iter().zip(ids));
        Ok(())
    }

    /// The folders between a file and the root, without the root.
    fn folders(&self, file: &Path) -> Vec<PathBuf> {
        let above = file.ancestors().skip(1);
        let below_root = above.take_while(|folder| *folder != self.root.as_path());
        below_root.map(Path::to_owned).collect()
    }

    /// Takes the folder's lock, which ends with the file that is returned.
    ///
    /// # Errors
    /// Fails if another process holds it for ten seconds, or the disk fails.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let path = self.root.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let reason = format!("{}: locked by another process", path.display());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_INTERVAL),
            }
        }
    }

    /// Writes a file whole, in place of one that may be there: a crash leaves the old or the new.
    ///
    /// # Errors
    /// Fails if the disk fails.
    pub(crate) fn write(&self, name: &Path, bytes: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        // Names like this are left out of listings.
        let mut staged = path.clone().into_os_string();
        staged.push("#1");
        let mut file = File::create(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, &path)?;
        self.flush(&path)
    }
}

/// A store's folder. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LocalFolder {
    sync: FolderSync,
}

impl LocalFolder {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            sync: FolderSync::new(root),
        }
    }

    /// Returns whether a folder of that name lies below the root.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.sync.root.join(name).is_dir()
    }

    /// A row must never outlive its object: the file and the entries on its path reach the disk
    /// before the commit does.
    pub(crate) async fn flush(&self, key: &object_store::path::Path) -> Result<(), LakeError> {
        let sync = self.sync.clone();
        let file = sync.root.join(key.as_ref());
        blocking(move || sync.flush(&file)).await
    }

    /// Writes an object in place of the version that was read, or where there was none: under a
    /// lock, since a folder knows no conditions. False where another came first.
    pub(crate) async fn replace(
        &self,
        objects: &Arc<dyn ObjectStore>,
        key: &object_store::path::Path,
        bytes: Bytes,
        read: Option<UpdateVersion>,
    ) -> Result<bool, LakeError> {
        let sync = self.sync.clone();
        let lock = blocking(move || sync.lock()).await?;
        let found = match retry(|| objects.head(key)).await {
            Ok(found) => found.e_tag,
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if found != read.and_then(|read| read.e_tag) {
            return Ok(false);
        }
        let (sync, name) = (self.sync.clone(), PathBuf::from(key.as_ref()));
        blocking(move || sync.write(&name, &bytes)).await?;
        drop(lock);
        Ok(true)
    }
}

/// Runs file operations on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, LakeError> {
    let done = spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        LakeError::Store(object_store::Error::Generic {
            store: "file",
            source: Box::new(error),
        })
    })
}

/// Creates a folder with all above it, and flushes the entries that are new.
///
/// # Errors
/// Fails if the disk refuses.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    private_file::create_folder(folder)?;
    for parent in missing.iter().filter_map(|folder| folder.parent()) {
        let is_here = parent.as_os_str().is_empty();
        File::open(if is_here { Path::new(".") } else { parent })?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn id(metadata: &Metadata) -> FolderId {
    use std::os::unix::fs::MetadataExt;
    (metadata.ino(), metadata.created().ok())
}

#[cfg(not(unix))]
fn id(metadata: &Metadata) -> FolderId {
    (0, metadata.created().ok())
}
