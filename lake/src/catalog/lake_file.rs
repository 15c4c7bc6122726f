//! `lake.json`: the identity of the lake in the store.

use bytes::Bytes;
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use crate::catalog::layout::FORMAT;
use crate::catalog::mismatch::MismatchError;
use crate::error::LakeError;
use crate::storage::store::Store;
use crate::storage::{local_folder, paths};

/// Longest file that is read.
const MAX_BYTES: usize = 4_096;

/// Content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) format: u32,
    pub(crate) lake_id: String,
    pub(crate) sequence: i64,
    pub(crate) token: String,
}

/// The part that every version of the file has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The identity in the store, and the version of the object that holds it.
pub(crate) struct StoredIdentity {
    pub(crate) identity: Identity,
    pub(crate) version: UpdateVersion,
}

/// The file, whatever is in it.
pub(crate) struct LakeFile {
    /// [`MismatchError::Unreadable`] where it is damaged.
    pub(crate) content: Result<Identity, MismatchError>,
    pub(crate) version: UpdateVersion,
}

impl Identity {
    pub(crate) fn encode(&self) -> Result<Bytes, LakeError> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| LakeError::Encode(error.into()))?;
        Ok(Bytes::from(text + "\n"))
    }

    /// Writes it in place of the version that was read. False where another process came first.
    pub(crate) async fn put(
        &self,
        store: &Store,
        read: Option<UpdateVersion>,
    ) -> Result<bool, LakeError> {
        store
            .replace(&paths::identity(), self.encode()?, read)
            .await
    }
}

/// Reads the file; `None` where there is none.
pub(crate) async fn read(store: &Store) -> Result<Option<StoredIdentity>, LakeError> {
    let Some(LakeFile { content, version }) = find(store).await? else {
        return Ok(None);
    };
    let identity = content?;
    Ok(Some(StoredIdentity { identity, version }))
}

/// Reads the file, damaged or not.
pub(crate) async fn find(store: &Store) -> Result<Option<LakeFile>, LakeError> {
    let path = paths::identity();
    let read = store.read_version(&path, MAX_BYTES).await?;
    for name in [local_folder::LOCK, path.as_ref()] {
        if store.has_folder(name) {
            let (store, name) = (format!("{store:?}"), name.to_owned());
            return Err(MismatchError::Misplaced { store, name }.into());
        }
    }
    let Some((bytes, version)) = read else {
        return Ok(None);
    };
    let content = match parse(store, &bytes) {
        Err(error @ MismatchError::NewerFormat { .. }) => return Err(error.into()),
        content => content,
    };
    Ok(Some(LakeFile { content, version }))
}

fn parse(store: &Store, bytes: &Bytes) -> Result<Identity, MismatchError> {
    let unreadable = |reason: String| MismatchError::Unreadable {
        store: format!("{store:?}"),
        reason,
    };
    if bytes.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(format!("expected at most {MAX_BYTES} bytes")));
    }
    let invalid = |error: serde_json::Error| unreadable(error.to_string());
    let Format { format } = serde_json::from_slice(bytes).map_err(invalid)?;
    if format > FORMAT {
        let store = format!("{store:?}");
        return Err(MismatchError::NewerFormat { store, format });
    }
    let identity: Identity = serde_json::from_slice(bytes).map_err(invalid)?;
    if identity.sequence < 0 || identity.sequence == i64::MAX {
        return Err(unreadable(format!(
            "sequence {} is impossible",
            identity.sequence
        )));
    }
    Ok(identity)
}
