//! An artifact whose given values stay on disk: they are read when they are needed, piece by piece.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::artifact::{Artifact, Init};
use crate::cause::cause;
use crate::format::{self, FormatError, HEADER_BYTES};
use crate::unchanged::Unchanged;
use crate::validate::Invalid;
use crate::weight_source::{UnreadableWeight, WeightSource};

/// What is read of the values at a time while their checksum is taken, in bytes.
const PIECE: usize = 1 << 20;

/// The given values of an artifact in its file.
#[derive(Debug)]
pub struct ArtifactFile {
    file: Unchanged,
    /// Where each tensor's values begin in the file, and how many there are, in bytes.
    places: HashMap<String, (u64, usize)>,
}

/// An artifact's file that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactFileError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It is no usable artifact.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl From<io::Error> for ArtifactFileError {
    fn from(error: io::Error) -> ArtifactFileError {
        ArtifactFileError::Unreadable(cause(&error))
    }
}

impl ArtifactFile {
    /// Opens an artifact without its given values, whose checksum is taken and which begin as 0 then; they are for
    /// [`Session::take_weights`](crate::Session::take_weights).
    ///
    /// # Errors
    /// If the file cannot be read, or is not a whole, unaltered, valid artifact of a format this runtime knows.
    pub fn open(path: &Path) -> Result<(Artifact, ArtifactFile), ArtifactFileError> {
        let file = Unchanged::open(path)?;
        let mut start = vec![0; HEADER_BYTES.min(usize::try_from(file.bytes()).unwrap_or(HEADER_BYTES))];
        file.read(0, &mut start)?;
        let header = format::header(&start, file.bytes())?;
        let mut json = vec![0; header.json_bytes as usize];
        file.read(HEADER_BYTES as u64, &mut json)?;
        let mut artifact = format::content(&json, header.json_crc)?;
        let begin = HEADER_BYTES as u64 + header.json_bytes;
        let mut crc = crc32fast::Hasher::new();
        let mut done = 0;
        while done < header.values_bytes {
            let mut piece = vec![0; PIECE.min((header.values_bytes - done) as usize)];
            file.read(begin + done, &mut piece)?;
            crc.update(&piece);
            done += piece.len() as u64;
        }
        format::unaltered(header.values_crc, crc.finalize())?;
        let mut places = HashMap::new();
        for tensor in &mut artifact.tensors {
            let Init::Given { offset } = tensor.init else { continue };
            let count = tensor.shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
            let bytes =
                tensor.element.bytes(count.filter(|n| *n <= usize::MAX / 8).unwrap_or(usize::MAX / 8));
            if offset.checked_add(bytes as u64).is_none_or(|end| end > header.values_bytes) {
                let (path, held) = (&tensor.path, header.values_bytes);
                let what = format!("the tensor `{path}`: its values reach beyond the {held} bytes of all");
                return Err(FormatError::from(Invalid { what }).into());
            }
            places.insert(tensor.path.clone(), (begin + offset, bytes));
            tensor.init = Init::Constant(0.0);
        }
        artifact.validate().map_err(FormatError::from)?;
        Ok((artifact, ArtifactFile { file, places }))
    }
}

impl WeightSource for ArtifactFile {
    fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    fn read(&self, path: &str, start: usize, into: &mut [u8]) -> Result<(), UnreadableWeight> {
        let place = self.places.get(path).ok_or_else(|| io::Error::other("it has no such tensor"));
        let read = place.and_then(|(begin, bytes)| match start + into.len() <= *bytes {
            true => self.file.read(begin + start as u64, into),
            false => Err(io::Error::other(format!("it has {bytes} bytes of it"))),
        });
        read.map_err(|error| self.file.unreadable(path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn given_values_are_read_where_they_lie_and_a_damaged_file_is_refused_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nna");
        let mut given = example::linear();
        assert!(given.give("w", &[0, 0, 0, 63, 0, 0, 192, 191]));
        let whole = format::write(&given);
        std::fs::write(&path, &whole).unwrap();
        let (artifact, file) = ArtifactFile::open(&path).unwrap();
        let mut bytes = [0; 4];
        file.read("w", 4, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 192, 191]);
        assert!(file.read("w", 8, &mut bytes).is_err() && !file.has("last"));
        given.tensors[0].init = Init::Constant(0.0);
        given.values = std::sync::Arc::default();
        assert_eq!(artifact, given);
        for length in (0..whole.len()).step_by(13) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = ArtifactFile::open(&path).unwrap_err().to_string();
            assert_eq!(error, format::read(&whole[..length]).unwrap_err().to_string());
        }
        for place in (0..whole.len()).step_by(13) {
            let mut altered = whole.clone();
            altered[place] ^= 4;
            std::fs::write(&path, &altered).unwrap();
            assert!(ArtifactFile::open(&path).is_err(), "byte {place}");
        }
    }
}
