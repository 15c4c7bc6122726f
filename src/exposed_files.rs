//! Detection of private files that other users of this machine may read. Modes are reported, never
//! changed, since a group may be let in on purpose. A file that was restored with `cp` has the
//! umask's mode.

use std::path::PathBuf;

use marketlake_common::private_file;
use marketlake_entities::database;

use crate::config::Settings;
use crate::operator_key;

/// Lists them with their mode and the command that closes them. Files are checked by path: by
/// POSIX, to open and close a database would end this process's locks on it.
pub(crate) fn find(settings: &Settings) -> Vec<String> {
    let mut private = vec![operator_key::path(settings)];
    if let Some(file) = database::sqlite_file(settings.database_url().expose()) {
        private.push(file.clone());
        for suffix in ["-wal", "-shm"] {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            private.push(PathBuf::from(name));
        }
    }
    private.extend(settings.mail.dkim.key_file.clone());
    let mail = url::Url::parse(settings.mail_url().expose()).ok();
    let outbox = mail.filter(|url| url.scheme() == "file");
    private.extend(outbox.and_then(|url| url.to_file_path().ok()));
    // A path with unreadable metadata is missing, or belongs to another user.
    let wide = private.iter().filter_map(|path| {
        let mode = private_file::wider_mode(path).ok()??;
        let private = if path.is_dir() { 700 } else { 600 };
        Some(format!("mode {mode:o}: chmod {private} {}", path.display()))
    });
    wide.collect()
}

/// Logs them, at the start of long-running commands.
pub(crate) fn warn(settings: &Settings) {
    let exposed = find(settings);
    if !exposed.is_empty() {
        let exposed = exposed.join("; ");
        tracing::warn!(
            exposed,
            "other users of this machine may read the database or keys"
        );
    }
}
