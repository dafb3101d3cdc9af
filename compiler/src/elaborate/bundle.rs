//! A model's file with all it uses, the standard library, and what the command line sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::diagnostic::{Checked, Diagnostic, Findings};
use crate::elaborate::dim::BATCH;
use crate::elaborate::lint::names_read;
use crate::elaborate::twice::names_given_twice;
use crate::source::{FileId, Loader, Sources, Span};
use crate::syntax::{self, ast};

/// The files of the standard library that every model sees.
const LIBRARY: [(&str, &str); 12] = [
    ("std/activations.nn", include_str!("../../std/activations.nn")),
    ("std/layers.nn", include_str!("../../std/layers.nn")),
    ("std/orders.nn", include_str!("../../std/orders.nn")),
    ("std/resampling.nn", include_str!("../../std/resampling.nn")),
    ("std/normalizations.nn", include_str!("../../std/normalizations.nn")),
    ("std/recurrent.nn", include_str!("../../std/recurrent.nn")),
    ("std/losses.nn", include_str!("../../std/losses.nn")),
    ("std/metrics.nn", include_str!("../../std/metrics.nn")),
    ("std/detection.nn", include_str!("../../std/detection.nn")),
    ("std/optimizers.nn", include_str!("../../std/optimizers.nn")),
    ("std/schedules.nn", include_str!("../../std/schedules.nn")),
    ("std/data.nn", include_str!("../../std/data.nn")),
];

/// The files of the standard library that a model names with `use`.
const SHELF: [(&str, &str); 2] = [
    ("std/attention.nn", include_str!("../../std/attention.nn")),
    ("std/vision.nn", include_str!("../../std/vision.nn")),
];

/// Path and text of every file of the standard library.
#[must_use]
pub fn library_files() -> Vec<(&'static str, &'static str)> {
    LIBRARY.iter().chain(&SHELF).copied().collect()
}

/// The file of the shelf that defines `name`, for others to use.
pub(super) fn shelf_file_of(name: &str) -> Option<&'static str> {
    static FILES: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
        let mut files = BTreeMap::new();
        for (path, text) in SHELF {
            let mut sources = Sources::new();
            let file = sources.add(path, text);
            let module = Module::new(file, syntax::parse(sources.source(file)).value);
            let seen = module.by_name.keys().filter(|name| module.public_item(name).is_some());
            files.extend(seen.map(|name| (name.clone(), path)));
        }
        files
    });
    FILES.get(name).copied()
}

/// Everything a compilation reads.
#[derive(Clone, Debug)]
pub struct Bundle {
    sources: Sources,
    modules: Vec<Module>,
    overrides: Vec<Override>,
    library: usize,
    /// The modules of the standard library by the names of their items.
    library_names: Arc<BTreeMap<String, usize>>,
    /// The names that are given twice in the model's own file.
    given_twice: Vec<Diagnostic>,
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// Its text.
    pub(super) file: FileId,
    /// Its items.
    pub(super) ast: Arc<ast::File>,
    /// The places of its definitions and constants by name, of those with one name the first.
    by_name: Arc<BTreeMap<String, usize>>,
    /// The modules it uses, with the prefix of their items.
    pub(super) uses: Vec<(Option<String>, usize)>,
}

/// `--set path=value`
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// The names of the path.
    pub(super) path: Vec<String>,
    /// The value.
    pub(super) value: ast::Expr,
}

/// Whether other files do not see `item`.
pub(super) fn is_private(item: &ast::Item) -> bool {
    item.attributes.iter().any(|attribute| attribute.name.text == "private")
}

impl Module {
    /// A file without its uses.
    fn new(file: FileId, ast: ast::File) -> Module {
        let mut by_name = BTreeMap::new();
        for (place, item) in ast.items.iter().enumerate() {
            let name = match &item.kind {
                ast::ItemKind::Definition(definition) => &definition.name,
                ast::ItemKind::Const(constant) => &constant.name,
                ast::ItemKind::Use(_) | ast::ItemKind::Data(_) | ast::ItemKind::Train(_) => continue,
            };
            by_name.entry(name.text.clone()).or_insert(place);
        }
        Module { file, ast: Arc::new(ast), by_name: Arc::new(by_name), uses: Vec::new() }
    }

    /// The definition or constant called `name`.
    pub(super) fn item(&self, name: &str) -> Option<&ast::ItemKind> {
        self.by_name.get(name).map(|place| &self.ast.items[*place].kind)
    }

    /// The definition or constant called `name`, where other files see it.
    pub(super) fn public_item(&self, name: &str) -> Option<&ast::ItemKind> {
        let item = &self.ast.items[*self.by_name.get(name)?];
        (!is_private(item)).then_some(&item.kind)
    }
}

impl Bundle {
    /// All texts, to print diagnostics with.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The syntax tree of the model's own file.
    #[must_use]
    pub fn main(&self) -> &ast::File {
        &self.modules[self.main_module()].ast
    }

    /// The text of the model's own file.
    #[must_use]
    pub fn main_file(&self) -> FileId {
        self.modules[self.main_module()].file
    }

    /// Where the name of the model `name` stands, in the model's own file or one that it uses; the beginning of
    /// the model's own file where there is none of that name.
    #[must_use]
    pub fn definition_span(&self, name: &str) -> Span {
        let models = self.own_items().filter_map(|item| match &item.kind {
            ast::ItemKind::Definition(definition) if definition.name.text == name => {
                Some(definition.name.span)
            }
            _ => None,
        });
        models.last().unwrap_or(Span::new(self.main_file(), 0, 0))
    }

    /// The free dims that models take: every name but `N` in the types of their inputs, and in `dims` of `train`.
    #[must_use]
    pub fn free_dims(&self) -> BTreeSet<&str> {
        let mut dims = BTreeSet::new();
        for item in self.own_items() {
            match &item.kind {
                ast::ItemKind::Definition(model) => {
                    let types = model.parameters.iter().filter_map(|parameter| parameter.ty.as_ref());
                    dims.extend(types.flat_map(|ty| ty.dims.iter().flatten()).filter_map(free_name));
                }
                ast::ItemKind::Train(train) => {
                    for setting in &train.settings.entries {
                        let ast::SettingKind::Group { name, settings, .. } = &setting.kind else { continue };
                        if name.text != "dims" {
                            continue;
                        }
                        for entry in &settings.entries {
                            if let ast::SettingKind::Value { names, .. } = &entry.kind {
                                dims.extend(names.iter().map(|name| name.text.as_str()));
                            }
                        }
                    }
                }
                ast::ItemKind::Use(_) | ast::ItemKind::Const(_) | ast::ItemKind::Data(_) => {}
            }
        }
        dims.remove(BATCH);
        dims
    }

    /// Every name that begins with a capital letter and stands in a type or a formula of the files.
    pub(super) fn dims_spoken_of(&self) -> BTreeSet<&str> {
        let files = self.modules[self.library..].iter();
        let names = files.flat_map(|module| names_read(&module.ast));
        names.filter(|name| name.starts_with(|letter: char| letter.is_uppercase())).collect()
    }

    /// The names of the inputs of models whose first dim is `N`.
    #[must_use]
    pub fn batched_inputs(&self) -> BTreeSet<&str> {
        let models = self.own_items().filter_map(|item| match &item.kind {
            ast::ItemKind::Definition(one) if one.kind == ast::DefinitionKind::Model => Some(one),
            _ => None,
        });
        let batched = models.flat_map(|model| &model.parameters).filter(|parameter| {
            let first = parameter.ty.as_ref().and_then(|ty| ty.dims.iter().flatten().next());
            first.and_then(free_name) == Some(BATCH)
        });
        batched.map(|parameter| parameter.name.text.as_str()).collect()
    }

    /// The names of the fields of data.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        let data = self.own_items().filter_map(|item| match &item.kind {
            ast::ItemKind::Data(data) => Some(data),
            _ => None,
        });
        let names = data.flat_map(|data| &data.settings.entries).filter_map(|setting| match &setting.kind {
            ast::SettingKind::Field { name, .. } => Some(name.text.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The items of the model's own file and of those it uses, without the standard library that is always there.
    fn own_items(&self) -> impl Iterator<Item = &ast::Item> {
        self.modules[self.library..].iter().flat_map(|module| &module.ast.items)
    }

    /// The item of any file that the text at `span` stands in.
    pub(crate) fn item_at(&self, span: Span) -> Option<&ast::ItemKind> {
        let items = self.modules.iter().flat_map(|module| &module.ast.items);
        items.filter(|item| item.span.contains(span)).map(|item| &item.kind).next()
    }

    pub(super) fn main_module(&self) -> usize {
        self.library
    }

    pub(super) fn module(&self, module: usize) -> &Module {
        &self.modules[module]
    }

    pub(super) fn library_modules(&self) -> std::ops::Range<usize> {
        0..self.library
    }

    /// `E0206` and `E0207` for the names that the model's own file gives twice.
    pub(super) fn names_given_twice(&self) -> &[Diagnostic] {
        &self.given_twice
    }

    /// The module of the standard library that has an item called `name`.
    pub(super) fn library_module_of(&self, name: &str) -> Option<usize> {
        self.library_names.get(name).copied()
    }

    /// The file of the library that has the item `name`: `std/losses.nn`.
    pub(super) fn library_path_of(&self, name: &str) -> Option<&str> {
        let module = self.library_module_of(name)?;
        Some(self.sources.source(self.modules[module].file).path())
    }

    pub(super) fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// Whether `span` lies in the standard library.
    pub(super) fn is_library(&self, span: Span) -> bool {
        self.sources.source(span.file).path().starts_with("std/")
    }
}

/// The name that a dim is, if it is one that begins with a capital letter.
fn free_name(dim: &ast::Dim) -> Option<&str> {
    match dim {
        ast::Dim::One(ast::Expr { kind: ast::ExprKind::Name(name), .. }) => {
            name.starts_with(char::is_uppercase).then_some(name.as_str())
        }
        _ => None,
    }
}

/// Reads `text` (the model at `path`), what it uses, and `overrides` (`--set` as path and value).
///
/// Diagnostics: every syntax error, and `E0105` for a `use` that cannot be followed.
#[must_use]
pub fn load(path: &str, text: &str, overrides: &[(String, String)], loader: &dyn Loader) -> Checked<Bundle> {
    let mut reader = Reader {
        bundle: Bundle {
            sources: Sources::new(),
            modules: Vec::new(),
            overrides: Vec::new(),
            library: 0,
            library_names: Arc::default(),
            given_twice: Vec::new(),
        },
        diagnostics: Findings::default(),
        loader,
    };
    reader.library();
    let main = reader.module(path, text);
    reader.follow(main, &mut vec![main]);
    reader.bundle.given_twice = names_given_twice(&reader.bundle);
    for (path, value) in overrides {
        reader.set(path, value);
    }
    Checked { value: reader.bundle, diagnostics: reader.diagnostics.finish() }
}

/// The files of the standard library that every model sees, in their order.
struct Library {
    modules: Vec<Module>,
    /// The modules by the names of their items.
    names: Arc<BTreeMap<String, usize>>,
}

impl Library {
    fn parse() -> Library {
        let mut sources = Sources::new();
        let mut modules = Vec::new();
        let mut names = BTreeMap::new();
        for (path, text) in LIBRARY {
            let file = sources.add(path, text);
            let parsed = syntax::parse(sources.source(file));
            assert!(!parsed.has_errors(), "the standard library can be read: {path}");
            modules.push(Module::new(file, parsed.value));
        }
        for (place, module) in modules.iter().enumerate() {
            for name in module.by_name.keys().filter(|name| module.public_item(name).is_some()) {
                names.entry(name.clone()).or_insert(place);
            }
        }
        Library { modules, names: Arc::new(names) }
    }
}

struct Reader<'l> {
    bundle: Bundle,
    diagnostics: Findings,
    loader: &'l dyn Loader,
}

impl Reader<'_> {
    /// Adds the standard library, whose files come first and are parsed once in a process.
    fn library(&mut self) {
        static PARSED: LazyLock<Library> = LazyLock::new(Library::parse);
        for (path, text) in LIBRARY {
            self.bundle.sources.add(path, text);
        }
        self.bundle.modules.extend(PARSED.modules.iter().cloned());
        self.bundle.library = PARSED.modules.len();
        self.bundle.library_names = PARSED.names.clone();
    }

    fn module(&mut self, path: &str, text: &str) -> usize {
        let file = self.bundle.sources.add(path, text);
        let parsed = syntax::parse(self.bundle.sources.source(file));
        self.diagnostics.extend(parsed.diagnostics);
        self.bundle.modules.push(Module::new(file, parsed.value));
        self.bundle.modules.len() - 1
    }

    /// Loads what `module` uses; `open` are the modules whose uses are being followed.
    fn follow(&mut self, module: usize, open: &mut Vec<usize>) {
        let from = self.bundle.sources.source(self.bundle.modules[module].file).path().to_owned();
        let uses: Vec<ast::Use> = self.bundle.modules[module]
            .ast
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                ast::ItemKind::Use(one) => Some(one.clone()),
                _ => None,
            })
            .collect();
        for one in uses {
            let prefix = one.prefix.as_ref().map(|name| name.text.clone());
            if let Some(target) = self.used(&one, &from, open) {
                self.bundle.modules[module].uses.push((prefix, target));
            }
        }
    }

    fn used(&mut self, one: &ast::Use, from: &str, open: &mut Vec<usize>) -> Option<usize> {
        let shelved = SHELF.iter().find(|(path, _)| *path == one.path);
        let loaded = match shelved {
            Some((path, text)) => Ok(((*path).to_owned(), (*text).to_owned())),
            None if one.path.starts_with("std/") => {
                Err(format!("the standard library has no file `{}`", one.path))
            }
            None => self.loader.load(&one.path, from),
        };
        let (path, text) = match loaded {
            Ok(loaded) => loaded,
            Err(why) => {
                let message = format!("cannot read `{}`", one.path);
                self.diagnostics.add(Diagnostic::error("E0105", message, one.path_span).fact(why));
                return None;
            }
        };
        let known = self.bundle.sources.find(&path);
        let known = known.and_then(|file| self.bundle.modules.iter().position(|module| module.file == file));
        if let Some(known) = known {
            if open.contains(&known) {
                let message = format!("`{}` uses itself", one.path);
                self.diagnostics.add(
                    Diagnostic::error("E0105", message, one.path_span).fact("this closes a circle of files"),
                );
                return None;
            }
            return Some(known);
        }
        let target = self.module(&path, &text);
        open.push(target);
        self.follow(target, open);
        open.pop();
        Some(target)
    }

    fn set(&mut self, path: &str, value: &str) {
        let file = self.bundle.sources.add(format!("--set {path}"), value);
        let parsed = syntax::parse_value(self.bundle.sources.source(file));
        self.diagnostics.extend(parsed.diagnostics);
        if let Some(value) = parsed.value {
            let path = path.split('.').map(str::to_owned).collect();
            self.bundle.overrides.push(Override { path, value });
        }
    }
}
