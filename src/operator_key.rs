//! Operator key of a data folder: created at the first start, read by commands that use HTTP.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use marketlake_common::private_file;
use marketlake_http::auth::key::ApiKey;
use marketlake_http::auth::operator::read_operator_key;

use crate::config::Settings;

const FILE: &str = "operator.key";

/// Path of the operator key.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.data.join(FILE)
}

/// Creates the key if there is none. A process that cannot continues without: API keys with the
/// scope admin are an operator's too.
pub(crate) fn ensure(settings: &Settings) -> Option<ApiKey> {
    let path = path(settings);
    if !path.exists()
        && let Err(error) = write_if_missing(&path)
    {
        let hint = "create a key with: marketlake keys create --scopes admin NAME";
        tracing::warn!(path = %path.display(), %error, hint, "no operator key can be written");
        return None;
    }
    match read_operator_key(&path) {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::warn!(%error, "there is no usable operator key");
            None
        }
    }
}

/// Replaces the key; the old one is refused within a second.
pub(crate) fn rotate(settings: &Settings) -> io::Result<PathBuf> {
    let path = path(settings);
    private_file::create_folder(&settings.data)?;
    private_file::write(&path, content().as_bytes())?;
    Ok(path)
}

/// Writes a key to a temporary file and links it, unless the key exists by then: a crash leaves no
/// partial key, and of processes that start at once the first one's key stays.
fn write_if_missing(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private_file::create_folder(folder)?;
    // By chance and not by process: containers that share the folder have the same numbers.
    let beside = folder.join(format!(".{FILE}.{}", ApiKey::random().id()));
    let written = write_new(&beside).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&beside);
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut file = private_file::options().create_new(true).open(path)?;
    file.write_all(content().as_bytes())?;
    file.sync_all()
}

fn content() -> String {
    format!("{}\n", ApiKey::random_operators().reveal())
}
