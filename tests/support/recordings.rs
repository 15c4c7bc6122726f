//! Real answers of exchanges, which lie beside the checkout where there are any.

use std::path::PathBuf;

/// The folder, or `None`, said loudly: whoever runs the tests must see what was not looked at.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MARKETLAKE_RECORDINGS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("NOT TESTED: MARKETLAKE_RECORDINGS names no folder of recordings");
    }
    folder
}
