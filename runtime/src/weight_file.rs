//! A weight file that stays on disk: its tensors are read when they are needed, piece by piece.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use nnc_wgsl::Element;

use crate::artifact::Stored;
use crate::cause::cause;
use crate::unchanged::Unchanged;
use crate::weight_source::{UnreadableWeight, WeightSource};
use crate::weights::{self, WeightsError};

/// A safetensors file with the weights of a model.
#[derive(Debug)]
pub struct WeightFile {
    file: Unchanged,
    places: HashMap<String, Place>,
}

/// Where a tensor lies in the file, in bytes.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    bytes: usize,
    element: Element,
}

impl WeightFile {
    /// Opens a file that must hold exactly the weights and states among `stored`; of the tensors nothing is read.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is of another model.
    pub fn open(path: &Path, stored: &[Stored]) -> Result<WeightFile, WeightsError> {
        let unreadable = |e: io::Error| WeightsError::Unreadable { path: path.to_owned(), cause: cause(&e) };
        let file = Unchanged::open(path).map_err(unreadable)?;
        let mapped = weights::map(path)?;
        let places = weights::fitting(path, &mapped, stored, |stored, view| {
            let start = view.data().as_ptr() as usize - mapped.as_ptr() as usize;
            let place = Place { start: start as u64, bytes: view.data().len(), element: stored.element };
            (stored.path.clone(), place)
        })?;
        Ok(WeightFile { file, places: places.into_iter().collect() })
    }

    /// Fills `into` with the tensor's bytes as stored; past its end with zeros.
    fn fill(&self, place: &Place, start: usize, into: &mut [u8]) -> io::Result<()> {
        let read = |from: usize, into: &mut [u8]| self.file.read(place.start + from as u64, into);
        match place.element {
            Element::Bool => {
                let mut truths = vec![0; into.len() / 4];
                read(start / 4, &mut truths)?;
                for (word, truth) in into.as_chunks_mut::<4>().0.iter_mut().zip(truths) {
                    *word = u32::from(truth != 0).to_le_bytes();
                }
                Ok(())
            }
            Element::F32 | Element::F16 | Element::I32 | Element::U8 => {
                let (there, past) = into.split_at_mut(place.bytes.saturating_sub(start).min(into.len()));
                past.fill(0);
                read(start, there)
            }
        }
    }
}

impl WeightSource for WeightFile {
    fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    fn read(&self, path: &str, start: usize, into: &mut [u8]) -> Result<(), UnreadableWeight> {
        let place = self.places.get(path).ok_or_else(|| io::Error::other("it has no such tensor"));
        let read = place.and_then(|place| self.fill(place, start, into));
        read.map_err(|error| self.file.unreadable(path, &error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use super::*;
    use crate::example;
    use crate::tensor::Tensor;

    fn saved(folder: &Path) -> (PathBuf, Vec<Tensor>) {
        let path = folder.join("w.safetensors");
        let tensor = |path: &str, values: &[f32]| Tensor {
            path: path.to_owned(),
            element: Element::F32,
            shape: vec![values.len()],
            bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        let tensors = vec![tensor("w", &[1.0, -2.0]), tensor("last", &[3.0, 4.0, 5.0, 6.0])];
        weights::write(&path, &tensors).unwrap();
        (path, tensors)
    }

    #[test]
    fn what_is_read_in_pieces_is_what_is_loaded_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, tensors) = saved(folder.path());
        let file = WeightFile::open(&path, &example::linear().tensors).unwrap();
        for tensor in &tensors {
            for start in (0..tensor.bytes.len()).step_by(4) {
                let mut piece = vec![7; tensor.bytes.len() - start];
                file.read(&tensor.path, start, &mut piece).unwrap();
                assert_eq!(piece, tensor.bytes[start..]);
            }
        }
        assert!(!file.has("momentum.w") && file.has("w"));
    }

    #[test]
    fn truths_are_words_and_bytes_end_in_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let tensors = [
            Tensor {
                path: "w".to_owned(),
                element: Element::Bool,
                shape: vec![2],
                bytes: vec![1, 0, 0, 0, 0, 0, 0, 0],
            },
            Tensor { path: "last".to_owned(), element: Element::U8, shape: vec![3], bytes: vec![7, 8, 9, 0] },
        ];
        weights::write(&path, &tensors).unwrap();
        let mut stored = example::linear().tensors;
        for (stored, tensor) in stored.iter_mut().zip(&tensors) {
            (stored.element, stored.shape) = (tensor.element, tensor.shape.clone());
        }
        let file = WeightFile::open(&path, &stored).unwrap();
        for tensor in &tensors {
            let mut bytes = vec![7; tensor.bytes.len()];
            file.read(&tensor.path, 0, &mut bytes).unwrap();
            assert_eq!(bytes, tensor.bytes);
        }
    }

    #[test]
    fn a_file_that_is_cut_short_or_changed_meanwhile_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(folder.path());
        let open = || WeightFile::open(&path, &example::linear().tensors).unwrap();
        let read = |file: &WeightFile| file.read("w", 0, &mut [0; 8]).unwrap_err().to_string();
        let file = open();
        let whole = std::fs::read(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(whole.len() as u64 - 8).unwrap();
        let found = read(&file);
        assert!(
            found.contains("`w`") && found.contains("w.safetensors") && found.contains("cut short"),
            "{found}"
        );
        std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(read(&file).contains("changed"), "{}", read(&file));
    }
}
