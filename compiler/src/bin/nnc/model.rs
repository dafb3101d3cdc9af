//! A model's file: read with all it uses, compiled, and what is wrong with it printed.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nnc::diagnostic::{Checked, Diagnostic, Findings};
use nnc::elaborate::{self, Bundle, Expansion};
use nnc::source::{Loader, Sources};
use nnc::syntax::ast::ItemKind;
use nnc::{Compiled, Precision, Request};
use nnc_runtime::artifact::{Artifact, Role};
use nnc_runtime::weight_file::WeightFile;
use nnc_runtime::{Session, format, weights};
use nnc_wgsl::{PROFILES, Profile};

use crate::failure::{Failure, Said};

/// The largest text, in bytes.
const LONGEST_TEXT: u64 = 16 << 20;

/// A model's file and what replaces its settings.
#[derive(Debug, clap::Args)]
pub(crate) struct ModelArguments {
    /// The model's file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What replaces settings of a model's file.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Replaces a setting or a `const`: `--set batch=128 --set optimizer.lr=1e-4`.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Gives a free dimension an extent: `--dim T=128`.
    #[arg(long, value_name = "NAME=EXTENT", value_parser = dimension)]
    dim: Vec<(String, usize)>,
    /// The model, where the file has several.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// How values between kernels are stored: `f32`, `mixed` (a training step in f16, with a loss scale) or `f16` (use as
    /// well); weights and sums are f32.
    #[arg(long, value_name = "P", value_parser = precision)]
    precision: Option<Precision>,
}

impl ModelArguments {
    /// The folder that relative paths of the model start at.
    pub(crate) fn base(&self) -> PathBuf {
        self.file.parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> String {
        self.file.file_stem().map_or_else(|| "model".to_owned(), |s| s.to_string_lossy().into_owned())
    }

    /// Reads and parses the file with all it uses.
    pub(crate) fn load(&self) -> Result<Arc<Bundle>, Failure> {
        let bundle = load(&self.file, &self.settings)?;
        report(&bundle.diagnostics, bundle.value.sources())?;
        Ok(Arc::new(bundle.value))
    }

    /// Compiles these programs of the model to run over the examples that its file names.
    pub(crate) fn compile_for_data(
        &self,
        profile: &Profile,
        roles: &[Role],
        batch: Option<usize>,
    ) -> Result<Compiled, Failure> {
        let bundle = self.load()?;
        let request = Request { reads_data: true, ..self.request(profile, roles, batch) };
        finish(nnc::compile(&bundle, &request), &bundle, &self.settings)
    }

    /// The request to compile these programs.
    pub(crate) fn request(&self, profile: &Profile, roles: &[Role], batch: Option<usize>) -> Request {
        self.settings.request(profile, roles, batch)
    }
}

impl Settings {
    /// The argument that replaces something, if there is one.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--set", !self.set.is_empty()),
            ("--dim", !self.dim.is_empty()),
            ("--model", self.model.is_some()),
            ("--precision", self.precision.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The request to compile these programs.
    pub(crate) fn request(&self, profile: &Profile, roles: &[Role], batch: Option<usize>) -> Request {
        let request = Request::new(profile.clone(), roles);
        let precision = self.precision;
        Request { model: self.model.clone(), batch, dims: self.dim.clone(), precision, ..request }
    }

    /// The request to expand the model of `bundle` alone; free dims that nothing gives are taken as `nnc check` takes
    /// them.
    pub(crate) fn expansion_of(&self, bundle: &Bundle, expansion: Expansion) -> elaborate::Request {
        let subjects = elaborate::subjects(bundle, &self.dim);
        let subject = match &self.model {
            Some(name) => subjects.iter().find(|subject| subject.model.as_ref() == Some(name)),
            None if subjects.iter().any(|subject| subject.trained) => None,
            None => subjects.last(),
        };
        let dims = subject.map_or_else(|| self.dim.clone(), |subject| subject.dims.clone());
        elaborate::Request { dims, ..self.expansion(expansion) }
    }

    /// The request to expand the model alone.
    pub(crate) fn expansion(&self, expansion: Expansion) -> elaborate::Request {
        let request = elaborate::Request::new(expansion);
        elaborate::Request { model: self.model.clone(), dims: self.dim.clone(), ..request }
    }
}

/// Reads and parses a file with all it uses.
pub(crate) fn load(file: &Path, settings: &Settings) -> Result<Checked<Bundle>, Failure> {
    let bundle = elaborate::load(&file.to_string_lossy(), &text(file)?, &settings.set, &Files);
    let known = bundle.value.free_dims();
    if let Some((name, _)) = settings.dim.iter().find(|(name, _)| !known.contains(name.as_str()))
        && !bundle.has_errors()
    {
        let has = match known.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        let file = file.display();
        return Err(Failure::new(format!("`--dim {name}`: no model of `{file}` has this free dim; {has}")));
    }
    Ok(bundle)
}

/// The text of a model's file, which is neither an artifact nor other bytes.
pub(crate) fn text(file: &Path) -> Result<String, Failure> {
    if matches!(file.to_str(), Some("-" | "/dev/stdin")) {
        return Err(Failure::new("a model is read from a file, and not from stdin: name its file"));
    }
    let bytes = bytes(file).map_err(|e| Failure::file(file, &e))?;
    if bytes.starts_with(&format::MAGIC) {
        let what = "it is a compiled artifact, which `nnc run` takes; this command takes a model's file";
        return Err(Failure::new(format!("`{}`: {what}", file.display())));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Failure::file(file, &std::io::Error::from(std::io::ErrorKind::InvalidData))),
    }
}

/// The bytes of a file of text, which is no device and of a length that a text can have.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        let what = if about.is_dir() { "it is a folder" } else { "it is no regular file" };
        return Err(std::io::Error::other(what));
    }
    if about.len() > LONGEST_TEXT {
        let what = format!("it has {} bytes, and a text has at most {LONGEST_TEXT}", about.len());
        return Err(std::io::Error::other(what));
    }
    std::fs::read(path)
}

/// Parses `text`, which stands for that of `file`, with all it uses.
pub(crate) fn finish_load(file: &Path, text: &str, settings: &Settings) -> Result<Bundle, Failure> {
    let bundle = elaborate::load(&file.to_string_lossy(), text, &settings.set, &Files);
    report(&bundle.diagnostics, bundle.value.sources())?;
    Ok(bundle.value)
}

/// What became of a model, after the warnings were printed. Where it has errors they are all that `nnc check` finds.
pub(crate) fn finish<T>(
    checked: Checked<Option<T>>,
    bundle: &Arc<Bundle>,
    settings: &Settings,
) -> Result<T, Failure> {
    if !checked.has_errors() {
        return accept(checked, bundle.sources());
    }
    let request = settings.request(&profile(PROFILES[0])?, &[], None);
    let mut found = Findings::default();
    found.extend(nnc::check(bundle, &request));
    found.extend(checked.diagnostics);
    report(&found.finish(), bundle.sources())?;
    Err(Failure::Wrong)
}

/// The value, after its warnings were printed.
pub(crate) fn accept<T>(checked: Checked<Option<T>>, sources: &Sources) -> Result<T, Failure> {
    report(&checked.diagnostics, sources)?;
    checked.value.ok_or(Failure::Wrong)
}

/// Prints warnings to stderr; fails with all diagnostics if one is an error.
pub(crate) fn report(diagnostics: &[Diagnostic], sources: &Sources) -> Result<(), Failure> {
    let said: Vec<Said> = diagnostics.iter().map(|one| Said::of(one, sources)).collect();
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Failure::Mistakes(said));
    }
    said.iter().for_each(|warning| warning.print(false));
    Ok(())
}

/// Whether the model's file says how it is trained.
pub(crate) fn has_training(bundle: &Bundle) -> bool {
    bundle.main().items.iter().any(|item| matches!(item.kind, ItemKind::Train(_)))
}

/// Gives a session the weights of a file: those it loads stay there until it needs them.
pub(crate) fn give_weights(session: &mut Session, artifact: &Artifact, path: &Path) -> Result<(), Failure> {
    if artifact.programs.iter().all(|program| program.loads.is_empty()) {
        session.write_tensors(&weights::load(path, session.tensors())?)?;
    } else {
        session.take_weights(Box::new(WeightFile::open(path, session.tensors())?))?;
    }
    Ok(())
}

/// All programs that the model can have.
pub(crate) fn all_roles(bundle: &Bundle) -> Vec<Role> {
    if has_training(bundle) {
        vec![Role::Train, Role::Gradient, Role::Evaluate, Role::Infer]
    } else {
        vec![Role::Infer]
    }
}

/// The profile of this name.
pub(crate) fn profile(name: &str) -> Result<Profile, Failure> {
    Profile::named(name).ok_or_else(|| {
        Failure::new(format!("there is no profile `{name}`; there are: {}", PROFILES.join(", ")))
    })
}

struct Files;

impl Loader for Files {
    fn load(&self, path: &str, from: &str) -> Result<(String, String), String> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        let path = plain(&folder.join(path));
        let shown = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let bytes = bytes(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file `{}`", shown.display()),
            _ => format!("`{}`: {e}", shown.display()),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| format!("`{}` is no text", shown.display()))?;
        Ok((path.to_string_lossy().into_owned(), text))
    }
}

/// The path without `.` and without `..` after a folder, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            _ => plain.push(part),
        }
    }
    plain
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A number of examples a step, as an argument.
pub(crate) fn batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a batch has at least one example".to_owned()),
        Ok(batch) => Ok(batch),
        Err(_) => Err(format!("`{text}` is no number of examples")),
    }
}

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "mixed" => Ok(Precision::Mixed),
        "f16" => Ok(Precision::F16),
        _ => Err("it is f32, mixed or f16".to_owned()),
    }
}

fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, extent) = assignment(text)?;
    let extent = extent.parse().map_err(|_| format!("`{extent}` is no extent"))?;
    Ok((name, extent))
}
