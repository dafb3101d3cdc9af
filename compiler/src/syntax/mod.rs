//! Text to syntax tree: a lexer that settles line ends and brackets, then nom combinators over tokens.
//!
//! [`parse`] always returns a tree: what could not be read is left out of it and reported, from the next
//! statement or item on reading goes on. nom is used here and nowhere else.

pub mod ast;
mod dump;
mod expression;
mod habit;
mod item;
mod lexer;
mod parser;
mod setting;
mod stage;
mod statement;
pub mod token;
mod types;

pub use dump::{dump_file, dump_tokens};
pub use lexer::lex;

use std::cell::RefCell;

use crate::diagnostic::{Checked, Findings};
use crate::source::Source;
use parser::Tokens;

/// Brackets, operators and words may lie this deep in one another.
pub const DEEPEST: u16 = 40;

/// The items of `source`.
#[must_use]
pub fn parse(source: &Source) -> Checked<ast::File> {
    let lexed = lex(source);
    let unreadable = lexed.has_errors();
    let mut found = Findings::default();
    found.extend(lexed.diagnostics);
    let mut items = Vec::new();
    if !unreadable {
        let failures = RefCell::new(Vec::new());
        items = item::file(Tokens::new(&lexed.value, &failures));
        found.extend(failures.into_inner().iter().map(|failure| habit::explain(failure, &lexed.value)));
    }
    Checked { value: ast::File { items }, diagnostics: found.finish() }
}

/// The one expression that `source` is.
#[must_use]
pub fn parse_value(source: &Source) -> Checked<Option<ast::Expr>> {
    let lexed = lex(source);
    if lexed.has_errors() {
        return lexed.map(|_| None);
    }
    let failures = RefCell::new(Vec::new());
    let read = expression::whole(Tokens::new(&lexed.value, &failures));
    let mut diagnostics = lexed.diagnostics;
    let (value, last) = match read {
        Ok((_, value)) => (Some(value), None),
        Err(error) => (None, Some(parser::failure(error))),
    };
    let failures = failures.into_inner().into_iter().chain(last);
    diagnostics.extend(failures.map(|failure| habit::explain(&failure, &lexed.value)));
    Checked { value, diagnostics }
}
