//! Data files, plain or gzipped, told apart by how they begin.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::DataError;
use crate::artifact::Part;
use crate::cause::cause;

/// The first bytes of a gzipped file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The file, or the one with `.gz` after its name, unpacked.
pub(super) fn open(path: &Path) -> Result<(PathBuf, Box<dyn Read>), DataError> {
    let mut zipped = path.as_os_str().to_owned();
    zipped.push(".gz");
    for candidate in [path.to_owned(), PathBuf::from(zipped)] {
        match File::open(&candidate) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let start = reader.fill_buf().map_err(|e| unreadable(&candidate, &e))?;
                let is_gzipped = start.starts_with(&GZIP);
                let reader: Box<dyn Read> =
                    if is_gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
                return Ok((candidate, reader));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(unreadable(&candidate, &e)),
        }
    }
    Err(DataError::Missing { path: path.to_owned() })
}

/// The most bytes of text that are read, and inflated: a small file can unpack to any size.
const TEXT_LIMIT: u64 = 4 << 30;

/// A whole file of UTF-8 text, and the path it was found at.
pub(super) fn read_text(path: &Path) -> Result<(PathBuf, String), DataError> {
    let (path, reader) = open(path)?;
    let mut text = String::new();
    reader.take(TEXT_LIMIT + 1).read_to_string(&mut text).map_err(|e| unreadable(&path, &e))?;
    if text.len() as u64 > TEXT_LIMIT {
        return Err(DataError::Unreadable { path, cause: "it has more than 4 GiB of text".to_owned() });
    }
    Ok((path, text))
}

/// A file's first bytes, at most `limit`, and the path it was found at.
pub(super) fn read_bytes(path: &Path, limit: u64) -> Result<(PathBuf, Vec<u8>), DataError> {
    let (path, reader) = open(path)?;
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes).map_err(|e| unreadable(&path, &e))?;
    Ok((path, bytes))
}

/// The path of a part that is one file.
pub(super) fn one_file(part: &Part) -> Result<&str, DataError> {
    match part.paths.as_slice() {
        [path] => Ok(path),
        paths => Err(DataError::Argument {
            reader: part.reader.clone(),
            what: format!("it takes one file, not {}", paths.len()),
        }),
    }
}

/// The error for a file that could not be read, or not be unpacked.
pub(super) fn unreadable(path: &Path, error: &Error) -> DataError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            DataError::Damaged { path, cause: error.to_string() }
        }
        _ => DataError::Unreadable { path, cause: cause(error) },
    }
}
