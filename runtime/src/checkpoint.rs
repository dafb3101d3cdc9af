//! Checkpoints: everything that a training run needs to go on, bit for bit.
//!
//! One safetensors file with every stored tensor but constants, and under the metadata key `nnc` a CRC-32 of
//! everything and the [`Progress`] as JSON. It is replaced by rename: there is always a whole one.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::artifact::{Meaning, Stored, StoredKind, Training};
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
    /// How many of those steps a too large loss scale left out.
    #[serde(default)]
    pub skipped: u64,
    /// How long those steps took, in seconds.
    pub seconds: f64,
    /// What was measured in the epochs done.
    pub history: Vec<EpochRecord>,
    /// The largest value that `save = best(...)` has seen.
    pub best: Option<f64>,
    /// Whether the run ended because something was not finite: then it may go on with another `train`, which is the
    /// remedy, over the same data and model.
    pub failed: bool,
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
            skipped: 0,
            seconds: 0.0,
            history: Vec::new(),
            best: None,
            failed: false,
        }
    }
}

/// What must be equal for a run to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Examples a step.
    pub batch: u64,
    /// The seed of the run.
    pub seed: u64,
    /// Fields and sources of the data: a checksum.
    pub sources: u32,
    /// Examples of each part.
    pub examples: Vec<(String, u64)>,
    /// Paths and shapes of weights and states: a checksum.
    pub weights: u32,
    /// Paths and shapes of what the optimizer keeps, and the metrics: a checksum.
    pub optimizer: u32,
    /// What the step means.
    pub meaning: Meaning,
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
        "the checkpoint `{}` is of another run: {difference}; restore that, or start without `--resume`",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// It was written by another version.
    #[error(
        "the checkpoint `{}` has format {found}, this version reads {VERSION}; \
         go on with the version that wrote it, or start the training without `--resume`",
        path.display()
    )]
    Outdated {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
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

#[derive(Deserialize)]
struct Version {
    version: u32,
}

const VERSION: u32 = 2;

/// The fingerprint of a run over so many examples of each part. How long it goes on, when it stops and what it saves
/// may change.
#[must_use]
pub fn fingerprint(stored: &[Stored], training: &Training, examples: Vec<(String, u64)>) -> Fingerprint {
    let tensors = |kinds: &[StoredKind]| -> Vec<String> {
        let of_kind = stored.iter().filter(|t| kinds.contains(&t.kind));
        of_kind.map(|t| format!("{} {:?} {} {:?}", t.path, t.kind, t.element, t.shape)).collect()
    };
    let fields = training.data.fields.iter();
    let parts = training.data.parts.iter();
    let sources = parts
        .map(|p| format!("{} {} {:?} {:?}", p.name, p.reader, p.paths, p.options))
        .chain(fields.map(|f| format!("{} {} {:?} {:?}", f.name, f.element, f.shape, f.range)));
    let mut optimizer = tensors(&[StoredKind::Optimizer, StoredKind::Average]);
    optimizer.extend(training.metrics.iter().cloned());
    let crc = |lines: Vec<String>| Meaning::checksum(&lines.join("\n"));
    Fingerprint {
        batch: training.batch as u64,
        seed: training.seed,
        sources: crc(sources.collect()),
        examples,
        weights: crc(tensors(&[StoredKind::Weight, StoredKind::State])),
        optimizer: crc(optimizer),
        meaning: training.meaning,
    }
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
    let Version { version } = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
    if version != VERSION {
        return Err(CheckpointError::Outdated { path: path.to_owned(), found: version });
    }
    let header: Header = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
    match difference(&header.fingerprint, expected, header.progress.failed) {
        None => Ok((header.progress, tensors)),
        Some(difference) => Err(CheckpointError::Foreign { path: path.to_owned(), difference }),
    }
}

/// What differs, from the data to the update: each is asked about only where those before it agree. Where the run
/// failed, the step may be another one.
fn difference(found: &Fingerprint, expected: &Fingerprint, failed: bool) -> Option<String> {
    let number = |what: &str, found: u64, expected: u64| {
        (found != expected).then(|| format!("its {what} is {found}, now it is {expected}"))
    };
    let other = |differs: bool, what: &str| differs.then(|| what.to_owned());
    let (was, is) = (&found.meaning, &expected.meaning);
    number("batch", found.batch, expected.batch)
        .or_else(|| number("seed", found.seed, expected.seed))
        .or_else(|| {
            other(found.sources != expected.sources, "its data is not the same: other fields or sources")
        })
        .or_else(|| {
            let mut counts = found.examples.iter().zip(&expected.examples);
            let ((part, was), (_, is)) = counts.find(|(was, is)| was != is)?;
            Some(format!("its data is not the same: {was} examples in `{part}`, now {is}"))
        })
        .or_else(|| other(was.data != is.data, "its data is prepared in another way"))
        .or_else(|| other(found.weights != expected.weights, "its model is not the same: other weights"))
        .or_else(|| other(was.model != is.model, "its model is not the same: it computes something else"))
        .or_else(|| {
            let differs = found.optimizer != expected.optimizer || (was.step != is.step && !failed);
            other(
                differs,
                "its training is not the same: another loss, metric, optimizer or setting of `train`",
            )
        })
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
    use crate::artifact::{HostExpr, Save};
    use crate::example;
    use crate::host::Measured;

    fn progress() -> Progress {
        let measured = vec![Measured { part: "train".to_owned(), name: "loss".to_owned(), value: 0.1 + 0.2 }];
        Progress {
            step: 7,
            epoch: 1,
            position: 2,
            sums: vec![1.0 / 3.0, 0.1],
            skipped: 1,
            seconds: 1.5,
            history: vec![EpochRecord { step: 5, measured }],
            best: Some(2.0 / 3.0),
            failed: false,
        }
    }

    fn tensors() -> Vec<Tensor> {
        let bytes = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        vec![Tensor { path: "w".to_owned(), element: Element::F32, shape: vec![2], bytes }]
    }

    fn examples() -> Vec<(String, u64)> {
        vec![("train".to_owned(), 22), ("test".to_owned(), 10)]
    }

    fn run() -> Fingerprint {
        fingerprint(&example::linear().tensors, &example::training("a", "b"), examples())
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
        assert!(message(|f| f.sources ^= 1).contains("its data is not the same: other fields or sources"));
        assert!(
            message(|f| f.examples[1].1 = 9)
                .contains("its data is not the same: 10 examples in `test`, now 9")
        );
        assert!(message(|f| f.meaning.data ^= 1).contains("its data is prepared in another way"));
        assert!(message(|f| f.weights ^= 1).contains("its model is not the same: other weights"));
        assert!(
            message(|f| f.meaning.model ^= 1)
                .contains("its model is not the same: it computes something else")
        );
        assert!(message(|f| f.optimizer ^= 1).contains("its training is not the same"));
        assert!(message(|f| f.meaning.step ^= 1).contains("its training is not the same"));
    }

    #[test]
    fn a_failed_run_goes_on_with_another_training_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, &run(), &Progress { failed: true, ..progress() }, &tensors()).unwrap();
        let mut other = run();
        other.meaning.step ^= 1;
        assert!(read(&path, &other).unwrap().0.failed);
        other.meaning.model ^= 1;
        assert!(matches!(read(&path, &other), Err(CheckpointError::Foreign { .. })));
    }

    #[test]
    fn the_length_of_a_run_may_change() {
        let mut training = example::training("a", "b");
        training.epochs = Some(99);
        training.steps = Some(7);
        training.stop = Some(HostExpr::Epoch);
        training.save = Some(Save::Every { epochs: 1, to: None });
        assert_eq!(fingerprint(&example::linear().tensors, &training, examples()), run());
    }

    #[test]
    fn a_checkpoint_of_another_version_is_told_apart_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let json = r#"{"version":1,"fingerprint":{"tensors":1}}"#;
        let text = format!("{:08x}{json}", checksum(json, &tensors()));
        std::fs::write(&path, weights::serialize(&tensors(), Some(text))).unwrap();
        assert!(matches!(read(&path, &run()), Err(CheckpointError::Outdated { found: 1, .. })));
    }
}
