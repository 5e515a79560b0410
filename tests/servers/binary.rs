//! Where a server's binary is.

use std::path::{Path, PathBuf};

/// Finds `name` where the variable says, on the path, or in one of the folders. `install` is what a person types;
/// `./tests/run.sh servers` does it for all of them.
pub(super) fn find(name: &str, variable: &str, folders: &[PathBuf], install: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{variable} names no file");
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = folders.iter().chain(&path).map(|folder| folder.join(name));
    places
        .find(|place| place.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: {install}"))
}

/// Debian keeps each major version in a folder of its own; the newest is used.
pub(super) fn debian_postgres() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .collect()
}

/// Where `tests/run.sh servers` puts what no package manager installs.
pub(super) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").unwrap_or_default();
    let cache = cache.unwrap_or_else(|| Path::new(&home).join(".cache"));
    cache.join("keyward-test-servers")
}
