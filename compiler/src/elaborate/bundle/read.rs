//! Reads a file with all it uses.

use std::sync::{Arc, LazyLock};

use crate::diagnostic::{Checked, Diagnostic, Findings};
use crate::elaborate::attributes::misused_attributes;
use crate::elaborate::bundle::library::{LIBRARY, Library, SHELF};
use crate::elaborate::bundle::{Bundle, Module, Override};
use crate::elaborate::twice::names_given_twice;
use crate::source::{Loader, Sources};
use crate::syntax::{self, ast};

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
            wrong_by_text: Vec::new(),
        },
        diagnostics: Findings::default(),
        loader,
    };
    reader.library();
    let main = reader.module(path, text);
    reader.follow(main, &mut vec![main]);
    let bundle = &mut reader.bundle;
    bundle.wrong_by_text = names_given_twice(bundle);
    bundle.wrong_by_text.extend(misused_attributes(bundle));
    for (path, value) in overrides {
        reader.set(path, value);
    }
    Checked { value: reader.bundle, diagnostics: reader.diagnostics.finish() }
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
                let files: Vec<&str> = SHELF.iter().map(|(path, _)| *path).collect();
                let files = files.join(" and ");
                Err(format!("the standard library has no file `{}`; those to be used are {files}", one.path))
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
