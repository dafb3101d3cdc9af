//! Checkpoints: everything that a training run needs to go on, bit for bit.
//!
//! One safetensors file with every stored tensor but constants, and under the metadata key `nnc` a CRC-32 of
//! everything and the [`Progress`] as JSON. It is replaced by rename: there is always a whole one.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::artifact::{Stored, StoredKind, Training};
use crate::cause::cause;
use crate::durable::{self, WriteError};
use crate::host::EpochRecord;
use crate::tensor::Tensor;
use crate::weights;

/// Where a training run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done in the epoch that has begun.
    pub position: u64,
    /// For the loss and each metric, the sum over those steps.
    pub sums: Vec<f64>,
    /// How long those steps took, in seconds.
    pub seconds: f64,
    /// What was measured in the epochs done.
    pub history: Vec<EpochRecord>,
    /// The largest value that `save = best(...)` has seen.
    pub best: Option<f64>,
}

impl Progress {
    /// The beginning of a run that counts `values` values: the loss and the metrics.
    #[must_use]
    pub fn start(values: usize) -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            position: 0,
            sums: vec![0.0; values],
            seconds: 0.0,
            history: Vec::new(),
            best: None,
        }
    }
}

/// What must be equal for a run to go on: each part of the model or its training by a text or a checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Paths, kinds and shapes of the stored tensors.
    pub tensors: u32,
    /// Examples a step.
    pub batch: u64,
    /// The seed of the run.
    pub seed: u64,
    /// Fields and sources of the data, and the metrics.
    pub data: u32,
}

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is none.
    #[error("there is no checkpoint `{}`; start the training without `--resume`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the checkpoint `{}` cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It is cut short or altered.
    #[error("the checkpoint `{}` is damaged: {cause}; start the training without `--resume`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        cause: String,
    },
    /// It is of another training run.
    #[error(
        "the checkpoint `{}` is of another run: its {part} is {found}, now it is {expected}; \
         restore that, or start without `--resume`",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        part: &'static str,
        /// What the checkpoint has.
        found: String,
        /// What the run has.
        expected: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    fingerprint: Fingerprint,
    progress: Progress,
}

const VERSION: u32 = 1;

/// The fingerprint of a run. How long it goes on, when it stops and what it saves may change.
#[must_use]
pub fn fingerprint(stored: &[Stored], training: &Training) -> Fingerprint {
    let tensors: Vec<_> = stored
        .iter()
        .filter(|t| is_kept(t))
        .map(|t| format!("{} {:?} {} {:?}", t.path, t.kind, t.element, t.shape))
        .collect();
    let data: Vec<_> = training
        .data
        .parts
        .iter()
        .map(|p| format!("{} {} {:?} {:?}", p.name, p.reader, p.paths, p.options))
        .chain(training.data.fields.iter().map(|f| format!("{} {} {:?}", f.name, f.element, f.shape)))
        .chain(training.metrics.iter().cloned())
        .collect();
    let crc = |lines: Vec<String>| crc32fast::hash(lines.join("\n").as_bytes());
    Fingerprint { tensors: crc(tensors), batch: training.batch as u64, seed: training.seed, data: crc(data) }
}

/// Whether a stored tensor belongs into checkpoints.
#[must_use]
pub fn is_kept(stored: &Stored) -> bool {
    stored.kind != StoredKind::Constant
}

/// Writes a checkpoint; the previous one stays until this one is whole.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    path: &Path,
    fingerprint: &Fingerprint,
    progress: &Progress,
    tensors: &[Tensor],
) -> Result<(), CheckpointError> {
    let header = Header { version: VERSION, fingerprint: fingerprint.clone(), progress: progress.clone() };
    let json = serde_json::to_string(&header).expect("progress has no maps and no failing serializers");
    let text = format!("{:08x}{json}", checksum(&json, tensors));
    Ok(durable::write(path, &weights::serialize(tensors, Some(text)))?)
}

/// Reads the checkpoint of the run with this fingerprint.
///
/// # Errors
/// If there is none, it is damaged, or of another run.
pub fn read(path: &Path, expected: &Fingerprint) -> Result<(Progress, Vec<Tensor>), CheckpointError> {
    let file = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => CheckpointError::Missing { path: path.to_owned() },
        _ => CheckpointError::Unreadable { path: path.to_owned(), cause: cause(&e) },
    })?;
    let damaged = |cause: String| CheckpointError::Damaged { path: path.to_owned(), cause };
    let parsed = SafeTensors::deserialize(&file).map_err(|e| damaged(e.to_string()))?;
    let (_, metadata) = SafeTensors::read_metadata(&file).map_err(|e| damaged(e.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get("nnc"));
    let text = text.ok_or_else(|| damaged("it has no `nnc` entry".to_owned()))?;
    let (crc, json) = text.split_at_checked(8).ok_or_else(|| damaged("its entry is too short".to_owned()))?;
    let crc = u32::from_str_radix(crc, 16).map_err(|e| damaged(e.to_string()))?;
    let tensors: Option<Vec<Tensor>> =
        parsed.iter().map(|(name, view)| weights::tensor(name, &view)).collect();
    let tensors = tensors.ok_or_else(|| damaged("it has tensors of a foreign type".to_owned()))?;
    let found = checksum(json, &tensors);
    if found != crc {
        return Err(damaged(format!("its checksum is {found:08x}, not {crc:08x}")));
    }
    let header: Header = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
    if header.version != VERSION {
        return Err(damaged(format!("its format is {}, not {VERSION}", header.version)));
    }
    match difference(&header.fingerprint, expected) {
        None => Ok((header.progress, tensors)),
        Some((part, found, expected)) => {
            Err(CheckpointError::Foreign { path: path.to_owned(), part, found, expected })
        }
    }
}

fn difference(found: &Fingerprint, expected: &Fingerprint) -> Option<(&'static str, String, String)> {
    let hex = |crc: u32| format!("{crc:08x}");
    [
        ("model", hex(found.tensors), hex(expected.tensors)),
        ("batch", found.batch.to_string(), expected.batch.to_string()),
        ("seed", found.seed.to_string(), expected.seed.to_string()),
        ("data", hex(found.data), hex(expected.data)),
    ]
    .into_iter()
    .find(|(_, found, expected)| found != expected)
}

/// The CRC-32 of the text and of every tensor with its name and shape, in the order of names.
fn checksum(json: &str, tensors: &[Tensor]) -> u32 {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(json.as_bytes());
    for tensor in sorted {
        hasher.update(format!("\n{} {} {:?}\n", tensor.path, tensor.element, tensor.shape).as_bytes());
        hasher.update(&tensor.bytes);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::Element;

    use super::*;
    use crate::example;
    use crate::host::Measured;

    fn progress() -> Progress {
        let measured = vec![Measured { part: "train".to_owned(), name: "loss".to_owned(), value: 0.1 + 0.2 }];
        Progress {
            step: 7,
            epoch: 1,
            position: 2,
            sums: vec![1.0 / 3.0, 0.1],
            seconds: 1.5,
            history: vec![EpochRecord { step: 5, measured }],
            best: Some(2.0 / 3.0),
        }
    }

    fn tensors() -> Vec<Tensor> {
        let bytes = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        vec![Tensor { path: "w".to_owned(), element: Element::F32, shape: vec![2], bytes }]
    }

    fn run() -> Fingerprint {
        fingerprint(&example::linear().tensors, &example::training("a", "b"))
    }

    #[test]
    fn what_was_written_is_read_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, &run(), &progress(), &tensors()).unwrap();
        assert_eq!(read(&path, &run()).unwrap(), (progress(), tensors()));
    }

    #[test]
    fn every_prefix_and_every_altered_byte_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, &run(), &progress(), &tensors()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(read(&path, &run()), Err(CheckpointError::Damaged { .. })), "{length}");
        }
        for place in 0..whole.len() {
            let mut altered = whole.clone();
            altered[place] ^= 1;
            std::fs::write(&path, &altered).unwrap();
            match read(&path, &run()) {
                Err(CheckpointError::Damaged { .. }) => {}
                Ok(same) => assert_eq!(same, (progress(), tensors()), "byte {place}"),
                Err(other) => panic!("byte {place}: {other}"),
            }
        }
    }

    #[test]
    fn another_run_is_told_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        assert!(matches!(read(&path, &run()), Err(CheckpointError::Missing { .. })));
        write(&path, &run(), &progress(), &tensors()).unwrap();
        let message = |change: fn(&mut Fingerprint)| {
            let mut other = run();
            change(&mut other);
            read(&path, &other).unwrap_err().to_string()
        };
        assert!(message(|f| f.seed = 8).contains("its seed is 7, now it is 8"));
        assert!(message(|f| f.batch = 9).contains("its batch is 4, now it is 9"));
        assert!(message(|f| f.tensors ^= 1).contains("its model is"));
        assert!(message(|f| f.data ^= 1).contains("its data is"));
    }

    #[test]
    fn the_length_of_a_run_may_change() {
        let mut training = example::training("a", "b");
        training.epochs = Some(99);
        assert_eq!(fingerprint(&example::linear().tensors, &training), run());
    }
}
