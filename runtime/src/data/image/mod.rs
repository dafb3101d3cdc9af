//! Pictures on their way from a file to a field: decoded, changed by the steps of `prepare` and `augment` that need
//! them in their own size, and written as the field has them.

mod decode;
mod resample;
mod step;

use std::ops::Range;
use std::path::PathBuf;

use nnc_wgsl::Element;

use super::error::DataError;
use crate::artifact::Field;

pub(super) use step::{Draw, Step};

/// A picture: `values: [channels, height, width]`, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Image {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

/// One picture file for each example, decoded when the example is asked for.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    files: Vec<PathBuf>,
    /// Channels, height and width of the field.
    shape: [usize; 3],
    prepare: Vec<Step>,
    augment: Vec<Step>,
}

impl Pictures {
    /// These files for a field, of which the first is tried.
    ///
    /// # Errors
    /// If the field holds no pictures, or the first file cannot be brought into its shape.
    pub(super) fn new(
        field: &Field,
        files: Vec<PathBuf>,
        prepare: Vec<Step>,
        augment: Vec<Step>,
    ) -> Result<Pictures, DataError> {
        let shape = match (field.element, field.shape.as_slice()) {
            (Element::F32, &[channels @ (1 | 3), height, width]) => [channels, height, width],
            (Element::F32, &[height, width]) => [1, height, width],
            (element, shape) => {
                let (field, shape) = (field.name.clone(), shape.to_vec());
                return Err(DataError::NoPictures { field, element, shape });
            }
        };
        let pictures = Pictures { files, shape, prepare, augment };
        if !pictures.files.is_empty() {
            pictures.read(field, 0, None)?;
        }
        Ok(pictures)
    }

    pub(super) fn examples(&self) -> usize {
        self.files.len()
    }

    /// Bytes of one example as it is uploaded.
    pub(super) fn uploaded_bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * 4
    }

    pub(super) fn take(&self, range: Range<usize>) -> Pictures {
        Pictures {
            files: self.files[range].to_vec(),
            shape: self.shape,
            prepare: self.prepare.clone(),
            augment: self.augment.clone(),
        }
    }

    /// Writes example `index` as it is uploaded; with a draw, it is augmented.
    ///
    /// # Errors
    /// If the file cannot be read, is no picture, or has another size than the field after all steps.
    pub(super) fn write_example(
        &self,
        field: &Field,
        index: usize,
        draw: Option<Draw>,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let image = self.read(field, index, draw)?;
        for (word, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(&image.values) {
            *word = value.to_le_bytes();
        }
        Ok(())
    }

    fn read(&self, field: &Field, index: usize, draw: Option<Draw>) -> Result<Image, DataError> {
        let path = &self.files[index];
        let mut image = decode::decode(path, self.shape[0])?;
        let augment = if draw.is_some() { self.augment.as_slice() } else { &[] };
        for (place, step) in self.prepare.iter().chain(augment).enumerate() {
            let draw = draw.unwrap_or_default().of(index, place);
            image = step.apply(&image, draw).map_err(|cause| DataError::Step {
                step: step.to_string(),
                path: path.clone(),
                cause,
            })?;
        }
        let found = [image.channels, image.height, image.width];
        if found == self.shape {
            return Ok(image);
        }
        let (field, expected) = (field.name.clone(), field.shape.clone());
        Err(DataError::PictureSize { field, expected, path: path.clone(), height: found[1], width: found[2] })
    }
}
