//! The operator key of a data folder: made at the first start, read by commands that speak HTTP.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use marketlake_graphql::auth::{ApiKey, read_operator_key};

use crate::config::Settings;

const FILE: &str = "operator.key";

/// The file of the operator key.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.data.join(FILE)
}

/// Makes the key where there is none. A process that cannot goes on without: keys of the database
/// are an operator's too.
pub(crate) fn ensure(settings: &Settings) -> Option<ApiKey> {
    let path = path(settings);
    if !path.exists()
        && let Err(error) = write(&path, Existing::Keep)
    {
        tracing::warn!(path = %path.display(), %error, "no operator key can be written; make one with: marketlake key create --scopes admin NAME");
        return None;
    }
    match read_operator_key(&path) {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::warn!(%error, "there is no operator key that can be used");
            None
        }
    }
}

/// Puts a new key in the place of the old one, which is refused within a second.
pub(crate) fn rotate(settings: &Settings) -> io::Result<PathBuf> {
    let path = path(settings);
    write(&path, Existing::Replace)?;
    Ok(path)
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// Writes a new key beside the file and moves it there whole: a crash leaves no half of a key, and
/// of two processes that start at once one key stays.
fn write(path: &Path, existing: Existing) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{FILE}.{}", std::process::id()));
    let written = write_new(&beside).and_then(|()| match existing {
        Existing::Replace => fs::rename(&beside, path),
        Existing::Keep => match fs::hard_link(&beside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        },
    });
    let _ = fs::remove_file(&beside);
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path) -> io::Result<()> {
    // What a process of the same number left when it was killed.
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    writeln!(file, "{}", ApiKey::random_operators().reveal())?;
    file.sync_all()
}
