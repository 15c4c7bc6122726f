//! Folders that are flushed for a new object, so that a power failure cannot take it.

use std::path::{Path, PathBuf};

use marketlake_lake::{FolderSync, create_folder};

fn make(root: &Path, file: &str) -> PathBuf {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"rows").unwrap();
    path
}

fn pending(sync: &FolderSync, root: &Path, file: &Path) -> Vec<String> {
    let pending = sync.pending(file).unwrap();
    let relative = |folder: &PathBuf| {
        let below = folder.strip_prefix(root).unwrap();
        below.display().to_string()
    };
    pending.iter().map(relative).collect()
}

#[test]
fn every_new_folder_on_the_path_of_an_object_is_flushed_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sync = FolderSync::new(root);
    let first = make(root, "raw/dt=2026-11-24/hour=10/31-a.parquet");
    let all = ["raw/dt=2026-11-24/hour=10", "raw/dt=2026-11-24", "raw", ""];
    assert_eq!(pending(&sync, root, &first), all);
    sync.flush(&first).unwrap();
    // The next minute: its own entry only.
    let second = make(root, "raw/dt=2026-11-24/hour=10/32-b.parquet");
    assert_eq!(pending(&sync, root, &second), all[..1]);
    sync.flush(&second).unwrap();
    // The next hour: its folder's entry too.
    let third = make(root, "raw/dt=2026-11-24/hour=11/00-c.parquet");
    let two = ["raw/dt=2026-11-24/hour=11", "raw/dt=2026-11-24"];
    assert_eq!(pending(&sync, root, &third), two);
    sync.flush(&third).unwrap();
    // Files in the root itself.
    let identity = make(root, "lake.json");
    assert_eq!(pending(&sync, root, &identity), [""]);
}

#[test]
fn a_folder_that_was_deleted_and_made_anew_is_flushed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sync = FolderSync::new(root);
    let file = make(root, "raw/dt=2026-11-24/hour=10/31-a.parquet");
    sync.flush(&file).unwrap();
    std::fs::remove_dir_all(root.join("raw/dt=2026-11-24")).unwrap();
    // Something else may take the inode meanwhile.
    let file = make(root, "raw/dt=2026-11-24/hour=10/32-b.parquet");
    let three = ["raw/dt=2026-11-24/hour=10", "raw/dt=2026-11-24", "raw"];
    assert_eq!(pending(&sync, root, &file), three);
}

#[test]
fn another_process_flushes_what_it_did_not_see_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let file = make(root, "day/dt=2026-11-24/a.parquet");
    FolderSync::new(root).flush(&file).unwrap();
    let other = FolderSync::new(root);
    let all = ["day/dt=2026-11-24", "day", ""];
    assert_eq!(pending(&other, root, &file), all);
}

#[test]
fn a_new_folder_is_made_with_all_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("a/b/c");
    create_folder(&new).unwrap();
    assert!(new.is_dir());
    create_folder(&new).unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    create_folder(&folder.path().join("file/d")).unwrap_err();
}
