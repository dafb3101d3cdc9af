//! The files of a run: `weights.safetensors`, `checkpoint` and `log.jsonl` in its folder, and what `save` asks for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::TrainError;
use super::folder::{self, Folder, Start};
use super::{EpochReport, Event, Options};
use crate::artifact::{Save, Stored, StoredKind};
use crate::checkpoint::{self, Fingerprint, Progress};
use crate::durable::{self, WriteError};
use crate::session::Session;
use crate::tensor::Tensor;
use crate::weights;

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    log: String,
}

impl Files {
    /// The files in the folder, of which an overwritten run loses its own. The log keeps its first `epochs` lines, those
    /// of a run that goes on, from its next line on.
    pub(super) fn open(folder: &Folder, epochs: usize) -> Result<Files, TrainError> {
        if folder.start() == Start::Over {
            folder::clear(folder.path())?;
        }
        let files = Files { folder: folder.path().to_owned(), log: String::new() };
        for path in [files.log_path(), files.weights_path(), Files::checkpoint_path(&files.folder)] {
            durable::remove_leftovers(&path);
        }
        let kept = match epochs {
            0 => String::new(),
            _ => fs::read_to_string(files.log_path()).unwrap_or_default(),
        };
        let log: String = kept.lines().take(epochs).flat_map(|line| [line, "\n"]).collect();
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
        weights::write(&self.weights_path(), &weights::to_save(stored, tensors))?;
        let path = Files::checkpoint_path(&self.folder);
        Ok(checkpoint::write(&path, fingerprint, progress, tensors)?)
    }

    /// Notes in the checkpoint that the run cannot go on as it is.
    pub(super) fn mark_failed(&self, fingerprint: &Fingerprint) -> Result<(), TrainError> {
        let path = Files::checkpoint_path(&self.folder);
        let (progress, tensors) = checkpoint::read(&path, fingerprint)?;
        Ok(checkpoint::write(&path, fingerprint, &Progress { failed: true, ..progress }, &tensors)?)
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
pub(super) fn make_folder_of(save: &Save, options: &Options<'_>) -> Result<(), TrainError> {
    folder_of(save, options).map_or(Ok(()), |folder| make_folder(&folder))
}

/// The folder that `save` names, else the run's own.
fn folder_of(save: &Save, options: &Options<'_>) -> Option<PathBuf> {
    let (Save::Best { to, .. } | Save::Every { to, .. }) = save;
    match to {
        Some(to) => Some(options.base.join(to)),
        None => options.out.as_ref().map(|out| out.path().to_owned()),
    }
}

/// Writes the weights where `save` wants them after this epoch; what was written, and whether it took the place of an
/// earlier run's.
pub(super) fn save_as_asked(
    save: &Save,
    options: &Options<'_>,
    session: &Session,
    progress: &mut Progress,
) -> Result<Option<Event>, TrainError> {
    let Some(folder) = folder_of(save, options) else { return Ok(None) };
    let (name, first) = match save {
        Save::Best { value, .. } => {
            let value = crate::host::evaluate(value, &progress.history)?;
            if value.is_nan() || progress.best.is_some_and(|best| value <= best) {
                return Ok(None);
            }
            let first = progress.best.replace(value).is_none();
            ("best.safetensors".to_owned(), first)
        }
        Save::Every { epochs, .. } => {
            if !progress.epoch.is_multiple_of((*epochs).max(1)) {
                return Ok(None);
            }
            (format!("weights-{}.safetensors", progress.epoch), true)
        }
    };
    make_folder(&folder)?;
    let path = folder.join(name);
    let replaced = first && path.exists();
    let read = |stored: &Stored| weights::is_saved(stored) || stored.kind == StoredKind::Average;
    weights::write(&path, &weights::to_save(session.tensors(), &session.read_tensors(read)?))?;
    Ok(Some(Event::Saved { path, replaced }))
}

fn make_folder(folder: &Path) -> Result<(), TrainError> {
    fs::create_dir_all(folder)
        .map_err(|source: io::Error| TrainError::Write(WriteError { path: folder.to_owned(), source }))
}
