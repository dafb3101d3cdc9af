//! A file that is read piece by piece for as long as it stays as it was when it was opened.
//!
//! It is read and not mapped, so that one that is cut short meanwhile is an error and no end of the process. Its pages
//! stay in memory as long as the system has room for them.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::weight_source::UnreadableWeight;

/// The file.
#[derive(Debug)]
pub(crate) struct Unchanged {
    path: PathBuf,
    file: Mutex<File>,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Unchanged {
    pub(crate) fn open(path: &Path) -> io::Result<Unchanged> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let (bytes, modified) = (metadata.len(), modified(&metadata));
        Ok(Unchanged { path: path.to_owned(), file: Mutex::new(file), bytes, modified })
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `into` with the bytes from `start` on.
    pub(crate) fn read(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = file.metadata()?;
        if metadata.len() < self.bytes {
            let what = format!("it was cut short, to {} bytes of {}", metadata.len(), self.bytes);
            return Err(io::Error::other(what));
        }
        if metadata.len() != self.bytes || modified(&metadata) != self.modified {
            return Err(io::Error::other("it was changed while it was in use"));
        }
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(into)
    }

    /// The error for a tensor that cannot be read from it.
    pub(crate) fn unreadable(&self, tensor: &str, error: &io::Error) -> UnreadableWeight {
        UnreadableWeight {
            tensor: tensor.to_owned(),
            source_name: self.path.display().to_string(),
            cause: error.to_string(),
        }
    }
}

fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}
