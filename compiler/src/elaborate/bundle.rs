//! A model's file with all it uses, the standard library, and what the command line sets.

mod library;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::elaborate::dim::BATCH;
use crate::elaborate::lint::names_read;
use crate::source::{FileId, Sources, Span};
use crate::syntax::ast;

pub use library::library_files;
pub(crate) use library::shelved;
pub(super) use library::{is_private_name, shelf_file_of};
pub use read::load;

/// Everything a compilation reads.
#[derive(Clone, Debug)]
pub struct Bundle {
    sources: Sources,
    modules: Vec<Module>,
    overrides: Vec<Override>,
    library: usize,
    /// The modules of the standard library by the names of their items.
    library_names: Arc<BTreeMap<String, usize>>,
    /// What is wrong with the model's own file by its text: names given twice, attributes out of place.
    wrong_by_text: Vec<Diagnostic>,
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
    pub(crate) fn own_items(&self) -> impl Iterator<Item = &ast::Item> {
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

    /// The names that the model's own file gives twice, and attributes that mean nothing where they stand.
    pub(super) fn wrong_by_text(&self) -> &[Diagnostic] {
        &self.wrong_by_text
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
