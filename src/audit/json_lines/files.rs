//! The files of a trail and their names.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Fewest digits of a rotated file's number: tools that rotate files themselves use fewer.
const DIGITS: usize = 6;

/// Returns the files of a trail that are there, oldest first: `audit.jsonl.000001`, `audit.jsonl.000002`, …, and
/// last `audit.jsonl` itself, the path that the sink was given.
///
/// It blocks.
///
/// # Errors
///
/// The folder cannot be read.
///
/// ```
/// use keyward::audit::trail_files;
///
/// let folder = tempfile::tempdir()?;
/// for name in ["audit.jsonl", "audit.jsonl.000001", "audit.jsonl.torn", "other.jsonl"] {
///     std::fs::write(folder.path().join(name), "")?;
/// }
/// let files = trail_files(folder.path().join("audit.jsonl"))?;
/// assert_eq!(files, [folder.path().join("audit.jsonl.000001"), folder.path().join("audit.jsonl")]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn trail_files(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let mut files: Vec<_> = rotated(path)?.into_iter().map(|(_, file)| file).collect();
    if path.try_exists()? {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// Returns the rotated files by number, lowest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in folder(path).read_dir()? {
        let entry = entry?;
        if let Some(number) = number_of(path, &entry.path()) {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the number of a rotated file of this trail.
fn number_of(path: &Path, file: &Path) -> Option<u64> {
    let name = file.file_name()?.as_encoded_bytes();
    let rest = name.strip_prefix(path.file_name()?.as_encoded_bytes())?;
    number(std::str::from_utf8(rest.strip_prefix(b".")?).ok()?)
}

/// Reads the number at the end of a rotated file's name.
pub(super) fn number_in(name: &str) -> Option<u64> {
    number(name.rsplit_once('.')?.1)
}

fn number(digits: &str) -> Option<u64> {
    let plain = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Returns the name that the file gets when it is rotated as that number.
pub(super) fn numbered(path: &Path, number: u64) -> PathBuf {
    with_suffix(path, &format!(".{number:0DIGITS$}"))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a file for reading and appending; a new one belongs to its owner alone.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Says whether the path still leads to the open file.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let there = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // A process that gave up its rights after opening the file keeps it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        there => there?,
    };
    let open = file.metadata()?;
    Ok((there.dev(), there.ino()) == (open.dev(), open.ino()))
}

/// Cannot be asked elsewhere; that is why rotation is refused there.
#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Makes the names in the folder as safe as the content of its files.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
