//! Weight files: safetensors with one tensor for each weight and state, by path, in the logical layout.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use nnc_wgsl::Element;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::artifact::{Stored, StoredKind, average_of};
use crate::cause::cause;
use crate::durable::{self, WriteError};
use crate::mapped::Bytes;
use crate::tensor::Tensor;

/// A weight file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// It cannot be read.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It is not a safetensors file, or damaged.
    #[error("`{}` is no whole safetensors file: {cause}; copy or save it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        cause: String,
    },
    /// It is a checkpoint.
    #[error("`{}` is a checkpoint; the weights of its run are in `weights.safetensors` beside it", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
    },
    /// It holds the weights of another model.
    #[error(
        "`{}` does not fit the model: {}; give weights that were saved from this model",
        path.display(),
        mismatch(missing, unexpected, misshapen)
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Tensors of the model that it lacks.
        missing: Vec<String>,
        /// Tensors that the model lacks, each with the most similar missing name.
        unexpected: Vec<(String, Option<String>)>,
        /// Tensors of another shape or type: what the model has, and what the file.
        misshapen: Vec<String>,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Whether a stored tensor belongs into weight files.
#[must_use]
pub fn is_saved(stored: &Stored) -> bool {
    matches!(stored.kind, StoredKind::Weight | StoredKind::State)
}

/// What a weight file holds of `tensors`, those at the places of `stored`: weights and states, and in place of a weight
/// its moving average, where it has one.
#[must_use]
pub fn to_save(stored: &[Stored], tensors: &[Tensor]) -> Vec<Tensor> {
    let by_path: HashMap<&str, &Tensor> = tensors.iter().map(|t| (t.path.as_str(), t)).collect();
    let of = |stored: &Stored| {
        let average = by_path.get(average_of(&stored.path).as_str()).or(by_path.get(stored.path.as_str()))?;
        Some(Tensor { path: stored.path.clone(), ..Tensor::clone(average) })
    };
    stored.iter().filter(|stored| is_saved(stored)).filter_map(of).collect()
}

/// Writes tensors, durably; equal tensors give equal bytes.
///
/// # Errors
/// If the file cannot be written; a previous one is still there then.
pub fn write(path: &Path, tensors: &[Tensor]) -> Result<(), WeightsError> {
    Ok(durable::write(path, &serialize(tensors, None))?)
}

/// All tensors of a file, ordered by name. Types the runtime does not store are left out of the result.
///
/// # Errors
/// If it cannot be read or is damaged.
pub fn read(path: &Path) -> Result<Vec<Tensor>, WeightsError> {
    let bytes = map(path)?;
    let file = parse(path, &bytes)?;
    let mut tensors: Vec<Tensor> = file.iter().filter_map(|(name, view)| tensor(name, &view)).collect();
    tensors.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tensors)
}

/// The weights and states among `stored`, from a file that must hold exactly these.
///
/// # Errors
/// If it cannot be read, is damaged, or is of another model.
pub fn load(path: &Path, stored: &[Stored]) -> Result<Vec<Tensor>, WeightsError> {
    let bytes = map(path)?;
    let copied = |stored: &Stored, view: &TensorView<'_>| tensor(&stored.path, view);
    Ok(fitting(path, &bytes, stored, copied)?.into_iter().flatten().collect())
}

/// What `take` makes of each weight and state among `stored`, from the bytes of a file that must hold exactly these.
///
/// # Errors
/// If it is damaged, or is of another model.
pub(crate) fn fitting<T>(
    path: &Path,
    bytes: &Bytes,
    stored: &[Stored],
    take: impl Fn(&Stored, &TensorView<'_>) -> T,
) -> Result<Vec<T>, WeightsError> {
    let file = parse(path, bytes)?;
    if is_checkpoint(bytes) {
        return Err(WeightsError::Checkpoint { path: path.to_owned() });
    }
    let mut left: BTreeMap<String, TensorView<'_>> =
        file.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    let (mut taken, mut missing, mut misshapen) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in stored.iter().filter(|t| is_saved(t)) {
        let Some(view) = left.remove(&wanted.path) else {
            missing.push(wanted.path.clone());
            continue;
        };
        match element(view.dtype()) {
            Some(element) if element == wanted.element && view.shape() == wanted.shape => {
                taken.push(take(wanted, &view));
            }
            _ => misshapen.push(format!(
                "`{}` is {} {:?} in the model and {} {:?} in the file",
                wanted.path,
                wanted.element,
                wanted.shape,
                format!("{:?}", view.dtype()).to_lowercase(),
                view.shape()
            )),
        }
    }
    if missing.is_empty() && left.is_empty() && misshapen.is_empty() {
        return Ok(taken);
    }
    let unexpected = left.into_keys().map(|name| {
        let similar = most_similar(&name, &missing);
        (name, similar)
    });
    let unexpected = unexpected.collect();
    Err(WeightsError::Mismatch { path: path.to_owned(), missing, unexpected, misshapen })
}

/// The bytes of a safetensors file with these tensors and, under the key `nnc`, this text.
pub(crate) fn serialize(tensors: &[Tensor], text: Option<String>) -> Vec<u8> {
    let packed: Vec<(&Tensor, Vec<u8>)> = tensors.iter().map(|t| (t, pack(t))).collect();
    let views = packed.iter().map(|(tensor, bytes)| {
        let view = TensorView::new(dtype(tensor.element), tensor.shape.clone(), bytes)
            .expect("a tensor has as many bytes as its shape says");
        (tensor.path.as_str(), view)
    });
    let metadata = text.map(|text| HashMap::from([("nnc".to_owned(), text)]));
    safetensors::serialize(views, metadata).expect("tensors with distinct names can be serialized")
}

/// A tensor of a safetensors file; `None` for types the runtime does not store.
pub(crate) fn tensor(name: &str, view: &TensorView<'_>) -> Option<Tensor> {
    let element = element(view.dtype())?;
    let mut bytes = match element {
        Element::Bool => view.data().iter().flat_map(|b| u32::from(*b != 0).to_le_bytes()).collect(),
        Element::F32 | Element::F16 | Element::I32 | Element::U8 => view.data().to_vec(),
    };
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Some(Tensor { path: name.to_owned(), element, shape: view.shape().to_vec(), bytes })
}

/// What the runtime stores such values as; `None` if it does not.
fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F32 => Element::F32,
        Dtype::I32 => Element::I32,
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        _ => return None,
    })
}

fn pack(tensor: &Tensor) -> Vec<u8> {
    let count: usize = tensor.shape.iter().product();
    match tensor.element {
        Element::F32 | Element::I32 => tensor.bytes.clone(),
        Element::Bool => tensor.bytes.chunks_exact(4).map(|w| u8::from(w != [0; 4])).collect(),
        Element::F16 => tensor.bytes[..count * 2].to_vec(),
        Element::U8 => tensor.bytes[..count].to_vec(),
    }
}

fn dtype(element: Element) -> Dtype {
    match element {
        Element::F32 => Dtype::F32,
        Element::F16 => Dtype::F16,
        Element::I32 => Dtype::I32,
        Element::Bool => Dtype::BOOL,
        Element::U8 => Dtype::U8,
    }
}

pub(crate) fn map(path: &Path) -> Result<Bytes, WeightsError> {
    Bytes::map(path).map_err(|e| WeightsError::Unreadable { path: path.to_owned(), cause: cause(&e) })
}

/// Whether the file has the metadata of a [checkpoint](crate::checkpoint).
fn is_checkpoint(bytes: &Bytes) -> bool {
    let metadata = SafeTensors::read_metadata(bytes).ok().and_then(|(_, m)| m.metadata().clone());
    metadata.is_some_and(|entries| entries.contains_key("nnc"))
}

fn parse<'a>(path: &Path, bytes: &'a Bytes) -> Result<SafeTensors<'a>, WeightsError> {
    SafeTensors::deserialize(bytes)
        .map_err(|e| WeightsError::Damaged { path: path.to_owned(), cause: e.to_string() })
}

/// The candidate that shares the longest beginning and end with `name`, if that is at least half of it.
fn most_similar(name: &str, candidates: &[String]) -> Option<String> {
    let shared = |other: &str| {
        let start = name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let end = name.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
        (start + end).min(name.len()).min(other.len())
    };
    let best = candidates.iter().max_by_key(|other| shared(other))?;
    (2 * shared(best) >= name.len()).then(|| best.clone())
}

fn mismatch(missing: &[String], unexpected: &[(String, Option<String>)], misshapen: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("it lacks {}", listed(missing)));
    }
    if !unexpected.is_empty() {
        let names: Vec<String> = unexpected
            .iter()
            .map(|(name, similar)| match similar {
                Some(similar) => format!("{name} (did you mean {similar}?)"),
                None => name.clone(),
            })
            .collect();
        parts.push(format!("the model has no {}", listed(&names)));
    }
    if !misshapen.is_empty() {
        parts.push(listed(misshapen));
    }
    parts.join("; ")
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    fn saved() -> Vec<Tensor> {
        let tensor = |path: &str, shape: &[usize], values: &[f32]| Tensor {
            path: path.to_owned(),
            element: Element::F32,
            shape: shape.to_vec(),
            bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        vec![tensor("w", &[2], &[1.0, 2.0]), tensor("last", &[4], &[0.0; 4])]
    }

    #[test]
    fn what_was_written_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path, &saved()).unwrap();
        assert_eq!(load(&path, &example::linear().tensors).unwrap(), saved());
        let mut sorted = saved();
        sorted.reverse();
        assert_eq!(read(&path).unwrap(), sorted);
    }

    #[test]
    fn the_weights_of_another_model_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut tensors = saved();
        tensors[1].path = "lost".to_owned();
        tensors[0].shape = vec![1, 2];
        write(&path, &tensors).unwrap();
        let message = load(&path, &example::linear().tensors).unwrap_err().to_string();
        for part in [
            "lacks last",
            "has no lost (did you mean last?)",
            "`w` is f32 [2] in the model and f32 [1, 2] in the file",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_checkpoint_is_told_from_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        std::fs::write(&path, serialize(&saved(), Some("00000000{}".to_owned()))).unwrap();
        let error = load(&path, &example::linear().tensors);
        assert!(matches!(error, Err(WeightsError::Checkpoint { .. })), "{error:?}");
    }

    #[test]
    fn truths_and_bytes_keep_their_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let tensors = [
            Tensor {
                path: "a".to_owned(),
                element: Element::Bool,
                shape: vec![2],
                bytes: vec![1, 0, 0, 0, 0, 0, 0, 0],
            },
            Tensor { path: "b".to_owned(), element: Element::U8, shape: vec![3], bytes: vec![7, 8, 9, 0] },
        ];
        write(&path, &tensors).unwrap();
        assert_eq!(read(&path).unwrap(), tensors);
    }

    #[test]
    fn damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        assert!(matches!(read(&path), Err(WeightsError::Unreadable { .. })));
        let whole = serialize(&saved(), None);
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(read(&path), Err(WeightsError::Damaged { .. })), "{length}");
        }
    }
}
