//! Data files, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::error::DataError;

/// The file, or the one with `.gz` after its name, uncompressed.
pub(super) fn open(path: &Path) -> Result<(PathBuf, Box<dyn Read>), DataError> {
    let mut zipped = path.as_os_str().to_owned();
    zipped.push(".gz");
    for candidate in [path.to_owned(), PathBuf::from(zipped)] {
        match File::open(&candidate) {
            Ok(file) if candidate.extension().is_some_and(|e| e == "gz") => {
                return Ok((candidate, Box::new(MultiGzDecoder::new(file))));
            }
            Ok(file) => return Ok((candidate, Box::new(file))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(unreadable(&candidate, &e)),
        }
    }
    Err(DataError::Missing { path: path.to_owned() })
}

/// A whole file of UTF-8 text, and the path it was found at.
pub(super) fn read_text(path: &Path) -> Result<(PathBuf, String), DataError> {
    let (path, mut reader) = open(path)?;
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|e| unreadable(&path, &e))?;
    Ok((path, text))
}

/// The error for a file that could not be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> DataError {
    DataError::Unreadable { path: path.to_owned(), cause: error.to_string() }
}
