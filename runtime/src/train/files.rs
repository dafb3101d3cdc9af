//! The files of a run: `weights.safetensors`, `checkpoint` and `log.jsonl` in its folder, and what `save` asks for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::EpochReport;
use super::error::TrainError;
use crate::artifact::{Save, Stored};
use crate::checkpoint::{self, Fingerprint, Progress};
use crate::durable::{self, WriteError};
use crate::gpu::Session;
use crate::tensor::Tensor;
use crate::weights;

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    log: String,
}

impl Files {
    /// The folder, made if it is not there. The log keeps its first `epochs` lines: those of a run that goes on.
    pub(super) fn open(folder: &Path, epochs: usize) -> Result<Files, TrainError> {
        make_folder(folder)?;
        let files = Files { folder: folder.to_owned(), log: String::new() };
        for path in [files.log_path(), files.weights_path(), Files::checkpoint_path(folder)] {
            durable::remove_leftovers(&path);
        }
        let kept = match epochs {
            0 => String::new(),
            _ => fs::read_to_string(files.log_path()).unwrap_or_default(),
        };
        let log: String = kept.lines().take(epochs).flat_map(|line| [line, "\n"]).collect();
        durable::write(&files.log_path(), log.as_bytes())?;
        Ok(Files { log, ..files })
    }

    /// Where the checkpoint of the run in this folder lies.
    pub(super) fn checkpoint_path(folder: &Path) -> PathBuf {
        folder.join("checkpoint")
    }

    /// Adds the line of an epoch to the log.
    pub(super) fn append(&mut self, report: &EpochReport) -> Result<(), TrainError> {
        self.log += &report.to_json();
        self.log.push('\n');
        Ok(durable::write(&self.log_path(), self.log.as_bytes())?)
    }

    /// Writes the weights, then the checkpoint.
    pub(super) fn save(
        &self,
        stored: &[Stored],
        tensors: &[Tensor],
        fingerprint: &Fingerprint,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        weights::write(&self.weights_path(), &only_saved(stored, tensors))?;
        let path = Files::checkpoint_path(&self.folder);
        Ok(checkpoint::write(&path, fingerprint, progress, tensors)?)
    }

    fn weights_path(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log.jsonl")
    }
}

/// Everything that a checkpoint keeps, as it is after all submitted steps.
pub(super) fn kept_tensors(session: &Session) -> Result<Vec<Tensor>, TrainError> {
    Ok(session.read_tensors(checkpoint::is_kept)?)
}

/// Makes the folder that `save` wants the weights in, so that a run cannot fail for it after its first epoch.
pub(super) fn make_folder_of(save: &Save, base: &Path) -> Result<(), TrainError> {
    let (Save::Best { to, .. } | Save::Every { to, .. }) = save;
    make_folder(&base.join(to))
}

/// Writes the weights where `save` wants them after this epoch; the file, if it was written.
pub(super) fn save_as_asked(
    save: &Save,
    base: &Path,
    session: &Session,
    progress: &mut Progress,
) -> Result<Option<PathBuf>, TrainError> {
    let (folder, name) = match save {
        Save::Best { value, to } => {
            let value = crate::host::evaluate(value, &progress.history)?;
            if value.is_nan() || progress.best.is_some_and(|best| value <= best) {
                return Ok(None);
            }
            progress.best = Some(value);
            (base.join(to), "best.safetensors".to_owned())
        }
        Save::Every { epochs, to } => {
            if !progress.epoch.is_multiple_of((*epochs).max(1)) {
                return Ok(None);
            }
            (base.join(to), format!("weights-{}.safetensors", progress.epoch))
        }
    };
    make_folder(&folder)?;
    let path = folder.join(name);
    weights::write(&path, &session.read_tensors(weights::is_saved)?)?;
    Ok(Some(path))
}

fn only_saved(stored: &[Stored], tensors: &[Tensor]) -> Vec<Tensor> {
    let saved = |t: &&Tensor| stored.iter().any(|s| s.path == t.path && weights::is_saved(s));
    tensors.iter().filter(saved).cloned().collect()
}

fn make_folder(folder: &Path) -> Result<(), TrainError> {
    fs::create_dir_all(folder)
        .map_err(|source: io::Error| TrainError::Write(WriteError { path: folder.to_owned(), source }))
}
