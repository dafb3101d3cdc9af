//! `safetensors("batch.safetensors")`: fixed tensors by field name, so that a run can be compared step by step
//! with another framework. Axis 0 counts the examples; they come in order and are never shuffled.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::column::{Column, Storage};
use super::error::DataError;
use super::file::one_file;
use crate::artifact::{Field, Part};
use crate::cause::cause;
use crate::mapped::Bytes;

/// The fields of a part, from one file that is mapped into memory.
pub(super) fn read(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<Column>, DataError> {
    let path = base.join(one_file(part)?);
    let bytes = map(&path)?;
    let foreign = |cause| DataError::Foreign { path: path.clone(), format: "safetensors", cause };
    let tensors = parse(&path, &bytes)?;
    fields
        .iter()
        .map(|field| {
            let tensor = tensors.tensor(&field.name).map_err(|_| {
                let mut available: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
                available.sort_unstable();
                DataError::NoTensor { path: path.clone(), name: field.name.clone(), available }
            })?;
            let storage = storage(tensor.dtype()).ok_or_else(|| DataError::Element {
                field: field.name.clone(),
                expected: field.element,
                path: path.clone(),
                found: foreign_type(tensor.dtype()),
            })?;
            let Some((examples, shape)) = tensor.shape().split_first() else {
                return Err(foreign(format!("`{}` is a single number without examples", field.name)));
            };
            let start = tensor.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let data = bytes.slice(start..start + tensor.data().len());
            Column::new(field, &path, storage, *examples, shape, data)
        })
        .collect()
}

/// For each field, whether the file holds unsigned bytes.
pub(super) fn bytes_on_disk(part: &Part, fields: &[Field], base: &Path) -> Result<Vec<bool>, DataError> {
    let path = base.join(one_file(part)?);
    let bytes = map(&path)?;
    let tensors = parse(&path, &bytes)?;
    Ok(fields.iter().map(|f| tensors.tensor(&f.name).is_ok_and(|t| t.dtype() == Dtype::U8)).collect())
}

/// The names and shapes of a file's tensors, of whatever type, ordered by name.
///
/// # Errors
/// If it cannot be read or is damaged.
pub fn tensor_shapes(path: &Path) -> Result<Vec<(String, Vec<usize>)>, DataError> {
    let bytes = map(path)?;
    let tensors = parse(path, &bytes)?;
    let mut shapes: Vec<_> =
        tensors.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
    shapes.sort();
    Ok(shapes)
}

fn map(path: &Path) -> Result<Bytes, DataError> {
    Bytes::map(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing { path: path.to_owned() },
        _ => DataError::Unreadable { path: path.to_owned(), cause: cause(&e) },
    })
}

fn parse<'a>(path: &Path, bytes: &'a Bytes) -> Result<SafeTensors<'a>, DataError> {
    SafeTensors::deserialize(bytes).map_err(|e| DataError::Foreign {
        path: path.to_owned(),
        format: "safetensors",
        cause: e.to_string(),
    })
}

/// A type that no column stores, for people.
fn foreign_type(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "16-bit floats",
        Dtype::BF16 => "bfloat16 numbers",
        Dtype::U16 | Dtype::U32 | Dtype::U64 => "unsigned integers of several bytes",
        _ => "numbers of a type that is not read",
    }
}

fn storage(dtype: Dtype) -> Option<Storage> {
    Some(match dtype {
        Dtype::U8 | Dtype::BOOL => Storage::U8,
        Dtype::I8 => Storage::I8,
        Dtype::I16 => Storage::I16,
        Dtype::I32 => Storage::I32,
        Dtype::I64 => Storage::I64,
        Dtype::F32 => Storage::F32,
        Dtype::F64 => Storage::F64,
        _ => return None,
    })
}
