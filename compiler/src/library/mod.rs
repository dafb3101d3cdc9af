//! The standard library as text: its definitions, and the reference made of them.

mod reference;

use crate::elaborate::library_files;
use crate::source::Sources;
use crate::syntax;
use crate::syntax::ast::{Definition, Item, ItemKind};

pub use reference::reference;

/// A definition of the standard library.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file, such as `std/losses.nn`.
    pub file: &'static str,
    /// The lines of its doc comment.
    pub docs: Vec<String>,
    /// As written, with doc comment and attributes.
    pub text: String,
    /// As written up to its body.
    pub signature: String,
    /// Its parts.
    pub definition: Definition,
}

/// All definitions of the standard library, file by file.
#[must_use]
pub fn entries() -> Vec<Entry> {
    library_files().into_iter().flat_map(|(file, text)| entries_of(file, text)).collect()
}

/// The definition `name` of the standard library.
#[must_use]
pub fn entry(name: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.definition.name.text == name)
}

fn entries_of(file: &'static str, text: &'static str) -> Vec<Entry> {
    let mut sources = Sources::new();
    let id = sources.add(file, text);
    let source = sources.source(id);
    let items = syntax::parse(source).value.items;
    let entry = |item: Item| {
        let ItemKind::Definition(definition) = item.kind else { return None };
        let begin = source.line_start(first_line(text, source.line_of(item.span.start)));
        let docs: Vec<String> = text[begin..item.span.start as usize]
            .lines()
            .filter_map(|line| line.strip_prefix("##"))
            .map(|line| line.trim().to_owned())
            .collect();
        let body = definition.body.span.start as usize;
        let signature = text[item.span.start as usize..body].trim_end().trim_end_matches('=').trim_end();
        Some(Entry {
            file,
            docs,
            text: text[begin..item.span.end as usize].to_owned(),
            signature: signature.to_owned(),
            definition,
        })
    };
    items.into_iter().filter_map(entry).collect()
}

/// The first line of what stands right above line `line`: doc comments and attributes.
fn first_line(text: &str, line: usize) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let above = lines[..line].iter().rev().take_while(|line| line.starts_with("##") || line.starts_with('@'));
    line - above.count()
}
