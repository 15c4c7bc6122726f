//! Files and folders that only their owner may read, whatever the umask: databases, keys, mails,
//! exports.
//!
//! Modes apply to files and folders created here (0600 and 0700). An existing one keeps its mode:
//! an operator may have opened it to a group on purpose; `marketlake doctor` names such files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Mode of a file that is created.
pub const FILE_MODE: u32 = 0o600;
/// Mode of a folder that is created.
pub const FOLDER_MODE: u32 = 0o700;

/// Options that create files with mode 0600. Add `create`, `create_new`, `truncate` or `append`.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options
}

/// Creates a folder and its missing parents, each with mode 0700, and each flushed to the disk.
///
/// # Errors
/// Fails if one of them cannot be created.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|above| !above.exists());
    let missing: Vec<&Path> = missing.collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.create(folder)?;
    missing.into_iter().try_for_each(sync_folder)
}

/// Creates an empty file with mode 0600, behind a symbolic link that leads nowhere too, unless
/// there is a file already, which is not opened: by POSIX a process that closes a file gives up all
/// its locks on it, and those of an `SQLite` database are what keeps another process from taking
/// its write-ahead log away.
///
/// # Errors
/// Fails if it cannot be created.
pub fn create_if_missing(file: &Path) -> io::Result<()> {
    match file.try_exists()? {
        true => Ok(()),
        false => options().create(true).truncate(false).open(file).map(drop),
    }
}

/// Creates or replaces a file: readers see the old content or the new, never a part. The new file
/// has mode 0600.
///
/// # Errors
/// Fails if the folder is missing, or the file cannot be written.
pub fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = beside(file);
    // A leftover of a process that was killed may have another mode.
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let mut open = options().create_new(true).open(&unfinished)?;
    open.write_all(content)?;
    open.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    sync_folder(file)
}

/// The mode of a file or folder, where others than its owner may read or write it.
///
/// # Errors
/// Fails if its metadata cannot be read.
pub fn wider_mode(path: &Path) -> io::Result<Option<u32>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(path).map(|_| None)
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".unfinished");
    file.with_file_name(name)
}

/// Flushes the entry of a file or folder in the folder above it.
fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        _ if cfg!(not(unix)) => Ok(()),
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
