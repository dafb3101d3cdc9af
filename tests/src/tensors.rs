//! Tensors read from a safetensors file, widened to f64.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// The numbers of a tensor, in row-major order, and its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Vec<f64>,
}

/// Every tensor of a file by name.
///
/// # Panics
/// If the file cannot be read, is no safetensors file, or holds something else than f32, f64 or i32.
#[must_use]
pub fn read(path: &Path) -> BTreeMap<String, Values> {
    let name = path.display();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("cannot read {name}: {e}"));
    let file =
        SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{name} is no safetensors file: {e}"));
    file.iter()
        .map(|(key, view)| {
            let data = view.data();
            let data = match view.dtype() {
                Dtype::F32 => elements(data, |b| f64::from(f32::from_le_bytes(b))),
                Dtype::F64 => elements(data, f64::from_le_bytes),
                Dtype::I32 => elements(data, |b| f64::from(i32::from_le_bytes(b))),
                other => panic!("{name}: `{key}` holds {other:?}"),
            };
            (key.to_owned(), Values { shape: view.shape().to_vec(), data })
        })
        .collect()
}

fn elements<const SIZE: usize>(bytes: &[u8], value: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| value(*chunk)).collect()
}
