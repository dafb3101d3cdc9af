//! The standard library as text: its definitions, and the reference made of them.

mod reference;

use std::collections::BTreeSet;

use crate::elaborate::{library_files, names_from_outside, shelved};
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

impl Entry {
    /// Whether files that use the library do not see it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.definition.attributes.iter().any(|attribute| attribute.name.text == "private")
    }
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

/// What a file needs so that a copy of the definition `name` under another name compiles: the definition, the private
/// ones that it needs, in the order of their file, and above them the `use` of that file where it needs others of it.
#[must_use]
pub fn printed(name: &str) -> Option<String> {
    let entry = entry(name)?;
    let mut parts = vec![entry.text.clone()];
    let needed = needed(&entry);
    let public = |other: &Entry| other.file == entry.file && !other.is_private();
    let others: Vec<String> =
        entries().into_iter().filter(public).map(|other| other.definition.name.text).collect();
    let uses = |one: &Entry| {
        let names = names_from_outside(&one.definition);
        others.iter().any(|other| *other != entry.definition.name.text && names.contains(other.as_str()))
    };
    if shelved(entry.file) && needed.iter().chain([&entry]).any(uses) {
        parts.insert(0, format!("use \"{}\"", entry.file));
    }
    parts.extend(needed.into_iter().map(|entry| entry.text));
    Some(parts.join("\n\n"))
}

/// The private definitions that `entry` needs, also through one another, in the order of their file.
#[must_use]
pub fn needed(entry: &Entry) -> Vec<Entry> {
    let near = |other: &Entry| other.file == entry.file && other.is_private();
    let near: Vec<Entry> = entries().into_iter().filter(near).collect();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![entry];
    while let Some(one) = open.pop() {
        let names = names_from_outside(&one.definition);
        for other in &near {
            let name = other.definition.name.text.as_str();
            if name != entry.definition.name.text && names.contains(name) && taken.insert(name) {
                open.push(other);
            }
        }
    }
    let wanted: BTreeSet<String> = taken.into_iter().map(str::to_owned).collect();
    near.into_iter().filter(|other| wanted.contains(&other.definition.name.text)).collect()
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
