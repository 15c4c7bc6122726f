//! The operator key: an API key in a file that only the server's own user can read.
//!
//! Only the file contains the key, no database row. So a restored or copied database neither
//! revives a replaced key nor admits another server's operator. Processes that share the file share
//! the key; replacing or deleting the file ends the old key within a second.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use marketlake_entities::database::outage::with_cause;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::key::ApiKey;

/// Time for which the contents of the file are cached.
const TTL: Duration = Duration::from_secs(1);
const MAX_FILE_BYTES: u64 = 4_096;

/// Reason why a file holds no operator key.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyError {
    /// It cannot be read.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// Others can read it.
    #[error("{}: users other than its owner may read it: run chmod 600, or delete it to get a new \
        one", .0.display())]
    Exposed(PathBuf),
    /// It holds something else.
    #[error("{}: expected an operator key: delete the file to get a new one", .0.display())]
    Malformed(PathBuf),
}

/// Reads the operator key of a file.
///
/// # Errors
/// Fails if the file cannot be read, holds no operator key, or may be read by others.
pub fn read_operator_key(path: &Path) -> Result<ApiKey, OperatorKeyError> {
    let unreadable = |error| OperatorKeyError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    if is_exposed(&file).map_err(unreadable)? {
        return Err(OperatorKeyError::Exposed(path.to_owned()));
    }
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES).read_to_string(&mut text);
    read.map_err(unreadable)?;
    let key: Option<ApiKey> = text.trim().parse().ok();
    key.filter(ApiKey::is_operators)
        .ok_or_else(|| OperatorKeyError::Malformed(path.to_owned()))
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// The operator key of a process's data folder.
pub(crate) struct OperatorKey {
    path: PathBuf,
    /// The time of the last read, and its result. Locked while the file is read: one request
    /// reads it for all.
    read: Mutex<Option<(Instant, Result<ApiKey, String>)>>,
}

impl OperatorKey {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    /// The key at present.
    pub(super) async fn current(&self) -> Option<ApiKey> {
        let mut cached = self.read.lock().await;
        if let Some((at, key)) = &*cached
            && at.elapsed() < TTL
        {
            return key.clone().ok();
        }
        let path = self.path.clone();
        let read = spawn_blocking(move || read_operator_key(&path)).await;
        let key = match read {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(error)) => Err(with_cause(&error)),
            Err(error) => Err(with_cause(&error)),
        };
        if let Err(error) = &key
            && !matches!(&*cached, Some((_, Err(before))) if before == error)
        {
            tracing::warn!(error, "the operator key cannot be used");
        }
        *cached = Some((Instant::now(), key.clone()));
        key.ok()
    }
}
