//! The scopes that are open and the names that are taken in each, so that no two makers of weights get one path.
//!
//! A scope that is opened gets a name of its own among those of the scope around it: the wanted one, or the first
//! free number behind it. A shared layer's scope is opened again by each use, and a walk's body runs once for each
//! step: both then name what they make as they did before.

use std::collections::BTreeMap;

use crate::source::Span;

/// The scopes that are open, outermost first; the top of the model is always among them.
#[derive(Debug)]
pub(super) struct Levels {
    open: Vec<Level>,
}

/// An open scope.
#[derive(Debug, Default)]
struct Level {
    /// Its path; empty at the top of the model.
    path: String,
    /// The names of the scopes in it, each with the number that its last namesake got.
    scopes: BTreeMap<String, usize>,
    /// The weights and states that are declared in it.
    stored: BTreeMap<String, Declaration>,
    /// Whether it is the body of a walk, which is no scope of its own and sees the names of the level around it.
    walk: bool,
    /// Whether its name is free again where nothing is made in it.
    provisional: bool,
}

/// Where a weight or state is declared.
#[derive(Clone, Copy, Debug)]
pub(in crate::elaborate) struct Declaration {
    /// The statement.
    pub(in crate::elaborate) statement: Span,
    /// The use of what the statement stands in.
    pub(in crate::elaborate) site: Option<Span>,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels { open: vec![Level::default()] }
    }
}

impl Levels {
    /// The path of the innermost open scope.
    pub(super) fn path(&self) -> &str {
        self.open.last().map_or("", |level| &level.path)
    }

    /// Opens the scope `name` in the open one; `provisional` where its name is free again if nothing is made in it.
    pub(super) fn open(&mut self, name: &str, provisional: bool) {
        let path = self.reserve(name);
        self.open.push(Level { path, provisional, ..Level::default() });
    }

    /// Opens the scope `path` once more: what is made in it has the names that it had before.
    pub(super) fn open_again(&mut self, path: String) {
        self.open.push(Level { path, ..Level::default() });
    }

    /// Leaves the innermost open scope.
    pub(super) fn close(&mut self) {
        let Some(level) = self.open.pop() else { return };
        if level.provisional && level.scopes.is_empty() && level.stored.is_empty() {
            let own = level.path.rsplit_once('.').map_or(level.path.as_str(), |(_, own)| own);
            if let Some(around) = self.open.last_mut() {
                around.scopes.remove(own);
            }
        }
    }

    /// Keeps the name of the open scope, whether or not anything is made in it.
    pub(super) fn keep(&mut self) {
        if let Some(level) = self.open.last_mut() {
            level.provisional = false;
        }
    }

    /// Begins the body of a walk in the open scope.
    pub(super) fn begin_walk(&mut self) {
        let path = self.path().to_owned();
        self.open.push(Level { path, walk: true, ..Level::default() });
    }

    /// Begins the next step of the walk, which makes what the step before it made.
    pub(super) fn next_step(&mut self) {
        if let Some(level) = self.open.last_mut() {
            level.scopes.clear();
            level.stored.clear();
        }
    }

    /// Ends the walk: what its last step made is taken in the scope around it.
    pub(super) fn end_walk(&mut self) {
        let Some(level) = self.open.pop() else { return };
        if let Some(around) = self.open.last_mut() {
            around.scopes.extend(level.scopes);
            around.stored.extend(level.stored);
        }
    }

    /// The path of a new scope called `name` in the open one.
    pub(super) fn reserve(&mut self, name: &str) -> String {
        let own = match self.number(name) {
            None => name.to_owned(),
            Some(last) => {
                let mut number = last + 1;
                let mut numbered = format!("{name}_{number}");
                while self.number(&numbered).is_some() {
                    number += 1;
                    numbered = format!("{name}_{number}");
                }
                self.take(name, number);
                numbered
            }
        };
        self.take(&own, 1);
        super::join(self.path(), &own)
    }

    /// Notes that `name` is declared in the open scope; where it is declared already.
    pub(super) fn declare(&mut self, name: &str, declaration: Declaration) -> Option<Declaration> {
        if let Some(before) = self.seen().find_map(|level| level.stored.get(name)) {
            return Some(*before);
        }
        if let Some(level) = self.open.last_mut() {
            level.stored.insert(name.to_owned(), declaration);
        }
        None
    }

    /// The number of the last scope called `name` in the open one.
    fn number(&self, name: &str) -> Option<usize> {
        self.seen().find_map(|level| level.scopes.get(name)).copied()
    }

    fn take(&mut self, name: &str, number: usize) {
        if let Some(level) = self.open.last_mut() {
            level.scopes.insert(name.to_owned(), number);
        }
    }

    /// The levels that name one scope: walks, and what they stand in.
    fn seen(&self) -> impl Iterator<Item = &Level> {
        let walks = self.open.iter().rev().take_while(|level| level.walk).count();
        self.open.iter().rev().take(walks + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(levels: &mut Levels, name: &str) -> String {
        levels.open(name, false);
        let path = levels.path().to_owned();
        levels.close();
        path
    }

    #[test]
    fn no_two_scopes_have_one_path() {
        let mut levels = Levels::default();
        let wanted = ["a", "a_2", "a", "a", "a_2", "b", "a_2_2"];
        let paths = wanted.map(|name| opened(&mut levels, name));
        assert_eq!(paths, ["a", "a_2", "a_3", "a_4", "a_2_2", "b", "a_2_2_2"]);
    }

    #[test]
    fn every_step_of_a_walk_names_what_the_first_did() {
        let mut levels = Levels::default();
        assert_eq!(opened(&mut levels, "a"), "a");
        levels.begin_walk();
        for step in 0..3 {
            if step > 0 {
                levels.next_step();
            }
            assert_eq!([opened(&mut levels, "a"), opened(&mut levels, "a")], ["a_2", "a_3"]);
        }
        levels.end_walk();
        assert_eq!(opened(&mut levels, "a"), "a_4");
    }

    #[test]
    fn a_provisional_scope_in_which_nothing_is_made_frees_its_name() {
        let mut levels = Levels::default();
        levels.open("a", true);
        levels.close();
        levels.open("a", true);
        assert_eq!(opened(&mut levels, "b"), "a.b");
        levels.close();
        assert_eq!(opened(&mut levels, "a"), "a_2");
    }
}
