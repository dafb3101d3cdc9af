//! `nnc snapshot FILE`: a compiled model as text beside it, written or checked.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nnc::Request;
use nnc::diff::diff;
use nnc::elaborate::Bundle;
use nnc::snapshot::{SnapshotFile, snapshot};
use nnc_runtime::durable;
use nnc_wgsl::PROFILES;

use crate::failure::Failure;
use crate::model::{self, ModelArguments};
use crate::output;
use crate::passes::PassArguments;

/// The lines of differences that are shown of one file.
const SHOWN: usize = 20;

/// The profile of the first snapshot.
const FIRST: &str = "webgpu-default";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Writes nothing, and shows what is different.
    #[arg(long)]
    check: bool,
    /// A kind of device; may be given several times. Without it those of which there are snapshots, or else
    /// `webgpu-default`.
    #[arg(long, value_name = "PROFILE")]
    target: Vec<String>,
    /// The folder of the snapshots; FILE with the ending `.snap` if left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Examples a step.
    #[arg(long, value_parser = model::batch)]
    batch: Option<usize>,
    #[command(flatten)]
    passes: PassArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = arguments.out.clone().unwrap_or_else(|| arguments.model.file.with_extension("snap"));
    let targets = targets(arguments, &folder)?;
    let bundle = arguments.model.load()?;
    let mut different = false;
    for target in targets {
        let files = compiled(arguments, &bundle, &target)?;
        let folder = folder.join(&target);
        match arguments.check {
            true => different |= check(&folder, &files)?,
            false => write(&folder, &files)?,
        }
    }
    if !different {
        return Ok(());
    }
    let file = arguments.model.file.display();
    output::note(&format!(
        "the snapshots are not what `{file}` becomes; if that is meant: nnc snapshot {file}"
    ));
    Err(Failure::Wrong)
}

/// The profiles that are meant.
fn targets(arguments: &Arguments, folder: &Path) -> Result<Vec<String>, Failure> {
    for target in &arguments.target {
        model::profile(target)?;
    }
    if !arguments.target.is_empty() {
        return Ok(arguments.target.clone());
    }
    let found = PROFILES.iter().filter(|name| folder.join(name).is_dir());
    let found: Vec<String> = found.map(|name| (*name).to_owned()).collect();
    match (found.is_empty(), arguments.check) {
        (false, _) => Ok(found),
        (true, false) => Ok(vec![FIRST.to_owned()]),
        (true, true) => {
            let file = arguments.model.file.display();
            let missing =
                format!("there are no snapshots in `{}`; make them: nnc snapshot {file}", folder.display());
            Err(Failure::new(missing))
        }
    }
}

fn compiled(arguments: &Arguments, bundle: &Arc<Bundle>, target: &str) -> Result<Vec<SnapshotFile>, Failure> {
    let profile = model::profile(target)?;
    let request = arguments.model.request(&profile, &model::all_roles(bundle), arguments.batch);
    let request = Request { selection: arguments.passes.selection()?, ..request };
    let checked = nnc::compile(bundle, &request);
    let compiled = model::finish(checked, bundle, &arguments.model.settings)?;
    Ok(snapshot(&compiled, &arguments.model.base().to_string_lossy()))
}

/// Writes the files that are not yet so, and removes those of programs that the model no longer has.
fn write(folder: &Path, files: &[SnapshotFile]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let mut written = 0;
    for file in files {
        let path = folder.join(&file.name);
        if !matches!(known(&path)?, Some(bytes) if bytes == file.text.as_bytes()) {
            durable::write(&path, file.text.as_bytes())?;
            written += 1;
        }
    }
    for path in left_over(folder, files)? {
        fs::remove_file(&path).map_err(|error| Failure::file(&path, &error))?;
        output::line(&format!("{}: removed", path.display()));
    }
    output::line(&format!("{}: {} files, {written} written", folder.display(), files.len()));
    Ok(())
}

/// Shows what is different; whether something is.
fn check(folder: &Path, files: &[SnapshotFile]) -> Result<bool, Failure> {
    let mut different = false;
    for file in files {
        let path = folder.join(&file.name);
        let known = match known(&path)? {
            Some(bytes) => String::from_utf8(bytes).map_err(|_| "is no text"),
            None => Err("is missing"),
        };
        match known {
            Ok(known) => {
                let lines = diff(&known, &file.text);
                if lines.is_empty() {
                    continue;
                }
                let equal = known.lines().zip(file.text.lines()).take_while(|(old, new)| old == new).count();
                output::write(&shortened(&path, equal + 1, &lines));
            }
            Err(what) => output::line(&format!("{} {what}", path.display())),
        }
        different = true;
    }
    for path in left_over(folder, files)? {
        output::line(&format!("{} is of a program that the model does not have", path.display()));
        different = true;
    }
    Ok(different)
}

/// The bytes of a file; `None` where there is none, or a device, which can only be written to.
fn known(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => fs::read(path).map(Some).map_err(|error| Failure::file(path, &error)),
        Ok(about) if about.is_dir() => {
            Err(Failure::new(format!("`{}`: a folder has that name; remove it", path.display())))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

/// The first differences of a file, below its name and the line from which on it is different.
fn shortened(path: &Path, line: usize, lines: &str) -> String {
    let shown: Vec<&str> = lines.lines().take(SHOWN).collect();
    let rest = lines.lines().skip(SHOWN).filter(|line| line.starts_with(['+', '-'])).count();
    let more = if rest > 0 { format!("({rest} more lines are different)\n") } else { String::new() };
    format!("{}:{line}\n--- snapshot\n+++ now\n{}\n{more}", path.display(), shown.join("\n"))
}

/// Files of snapshots of programs that are not among `files`.
fn left_over(folder: &Path, files: &[SnapshotFile]) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file(folder, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::file(folder, &error))?.path();
        let is_ours = path.extension().is_some_and(|ending| ending == "plan" || ending == "dispatches");
        let is_known =
            files.iter().any(|file| path.file_name().is_some_and(|name| name == file.name.as_str()));
        if is_ours && !is_known {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
