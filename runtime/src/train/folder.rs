//! The folder of a run: one run at a time, and no run over another's files without being told to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::TrainError;
use crate::checkpoint::CheckpointError;
use crate::durable::WriteError;

/// How a run treats the files of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There must be none.
    New,
    /// They are removed once everything else about the run is known to be right.
    Over,
    /// It goes on from the checkpoint.
    Resume,
}

/// A folder that is held: until it is dropped, no other run can open it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    start: Start,
    /// Whether the folder was made for this run.
    made: bool,
    /// Locked while the run lives; the system unlocks it with the process, however that ends.
    lock: Option<File>,
}

const LOCK: &str = ".lock";

/// What a run leaves in its folder.
const FILES: [&str; 3] = ["checkpoint", "weights.safetensors", "log.jsonl"];

impl Folder {
    /// Holds the folder, which is made if it is not there.
    ///
    /// # Errors
    /// If another run holds it; for a new run, if it holds files of an earlier one; to resume, if it holds no
    /// checkpoint; if it cannot be written to.
    pub fn open(path: &Path, start: Start) -> Result<Folder, TrainError> {
        let checkpoint = path.join(FILES[0]);
        if start == Start::Resume && !checkpoint.exists() {
            return Err(CheckpointError::Missing { path: checkpoint }.into());
        }
        if start == Start::New {
            vacant(path)?;
        }
        let made = !path.exists();
        let fail = |source| WriteError { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(fail)?;
        let folder = Folder { path: path.to_owned(), start, made, lock: locked(path)? };
        if start == Start::New {
            // Another run may have come and gone since the first look.
            vacant(path)?;
        }
        Ok(folder)
    }

    /// Holds `base`, or where runs have been there before, the one after the last of `base-2`, `base-3`, ....
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn next(base: &Path) -> Result<Folder, TrainError> {
        let mut number = last(base, occupant).map_or(1, |last| last + 1);
        loop {
            match Folder::open(&numbered(base, number), Start::New) {
                Err(TrainError::Occupied { .. } | TrainError::Busy { .. }) => number += 1,
                opened => return opened,
            }
        }
    }

    /// Holds the last of `base`, `base-2`, `base-3`, ... that has a checkpoint, to resume it.
    ///
    /// # Errors
    /// If none has one, or another run holds it.
    pub fn latest(base: &Path) -> Result<Folder, TrainError> {
        let number = last(base, |path| path.join(FILES[0]).exists().then_some(FILES[0])).unwrap_or(1);
        Folder::open(&numbered(base, number), Start::Resume)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the run treats what lies in it.
    #[must_use]
    pub fn start(&self) -> Start {
        self.start
    }
}

impl Drop for Folder {
    /// The lock goes, and with it a folder that was made for a run that left nothing.
    fn drop(&mut self) {
        // What cannot be removed does no harm: a lock counts only while it is held.
        if self.lock.is_some() {
            let _ = fs::remove_file(self.path.join(LOCK));
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Removes what an earlier run has left.
pub(super) fn clear(path: &Path) -> Result<(), TrainError> {
    for file in FILES.map(|name| path.join(name)) {
        match fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(WriteError { path: file, source: e }.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The first file of an earlier run.
fn occupant(path: &Path) -> Option<&'static str> {
    FILES.into_iter().find(|name| path.join(name).exists())
}

fn vacant(path: &Path) -> Result<(), TrainError> {
    match occupant(path) {
        None => Ok(()),
        Some(file) => Err(TrainError::Occupied { folder: path.to_owned(), file }),
    }
}

/// The lock, taken; `None` on a file system without locks.
fn locked(path: &Path) -> Result<Option<File>, TrainError> {
    let place = path.join(LOCK);
    loop {
        let lock = File::create(&place).map_err(|source| WriteError { path: path.to_owned(), source })?;
        match lock.try_lock() {
            // A run that ended meanwhile may have removed the file that was opened.
            Ok(()) if is_at(&lock, &place) => return Ok(Some(lock)),
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(TrainError::Busy { folder: path.to_owned() }),
            Err(fs::TryLockError::Error(_)) => return Ok(None),
        }
    }
}

/// Whether this is the file that lies there.
#[cfg(unix)]
fn is_at(file: &File, place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let both = file.metadata().ok().zip(fs::metadata(place).ok());
    both.is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_at(_file: &File, _place: &Path) -> bool {
    true
}

/// `base` as number 1, then `base-2`, `base-3`, ....
fn numbered(base: &Path, number: u64) -> PathBuf {
    if number == 1 {
        return base.to_owned();
    }
    let mut name = base.as_os_str().to_owned();
    name.push(format!("-{number}"));
    PathBuf::from(name)
}

/// The largest number whose folder is `wanted`.
fn last(base: &Path, wanted: impl Fn(&Path) -> Option<&'static str>) -> Option<u64> {
    let name = base.file_name()?.to_string_lossy().into_owned();
    let parent = base.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let number = |found: &str| match found.strip_prefix(&name)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|n| *n > 1),
    };
    let entries = fs::read_dir(parent).ok()?.flatten();
    let numbers = entries.filter_map(|entry| number(&entry.file_name().to_string_lossy()));
    numbers.filter(|n| wanted(&numbered(base, *n)).is_some()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(path: &Path, file: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join(file), "kept").unwrap();
    }

    #[test]
    fn a_folder_with_the_files_of_a_run_is_not_taken_by_a_new_one() {
        let root = tempfile::tempdir().unwrap();
        for file in FILES {
            let path = root.path().join(file);
            leave(&path, file);
            let error = Folder::open(&path, Start::New).unwrap_err();
            assert!(matches!(error, TrainError::Occupied { .. }), "{error}");
            let message = error.to_string();
            for part in [file, "--resume", "--overwrite", "--out"] {
                assert!(message.contains(part), "{message}");
            }
            assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing is touched");
            let over = Folder::open(&path, Start::Over).unwrap();
            assert_eq!(fs::read(path.join(file)).unwrap(), b"kept", "nor by opening alone");
            clear(over.path()).unwrap();
            assert!(!path.join(file).exists());
        }
        leave(&root.path().join("notes"), "notes.txt");
        Folder::open(&root.path().join("notes"), Start::New).unwrap();
    }

    #[test]
    fn one_run_holds_a_folder_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let held = Folder::open(&path, Start::New).unwrap();
        for start in [Start::New, Start::Over] {
            let error = Folder::open(&path, start).unwrap_err();
            assert!(matches!(error, TrainError::Busy { .. }), "{error}");
        }
        leave(&path, "checkpoint");
        assert!(matches!(Folder::open(&path, Start::Resume), Err(TrainError::Busy { .. })));
        drop(held);
        Folder::open(&path, Start::Resume).unwrap();
    }

    #[test]
    fn runs_without_a_named_folder_are_numbered() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("digits");
        assert!(matches!(Folder::latest(&base), Err(TrainError::Checkpoint(_))));
        let first = Folder::next(&base).unwrap();
        assert_eq!(first.path(), base);
        let beside = Folder::next(&base).unwrap();
        assert_eq!(beside.path(), root.path().join("digits-2"), "the first is held, though it is empty");
        drop((first, beside));
        assert!(!base.exists(), "a run that left nothing leaves no folder");
        leave(&base, "weights.safetensors");
        leave(&root.path().join("digits-7"), "checkpoint");
        leave(&root.path().join("digits-x"), "checkpoint");
        assert_eq!(Folder::next(&base).unwrap().path(), root.path().join("digits-8"));
        assert_eq!(Folder::latest(&base).unwrap().path(), root.path().join("digits-7"));
    }
}
