//! Lines: where they break, and how far they are indented.
//!
//! A statement that fits stays on one line. Otherwise it breaks where its loosest operator stands (arrows begin a
//! line, all others end one), each part as far to the left as it must, and parts that still do not fit break inside.

mod breaks;
mod extent;
mod items;
mod settings;

use crate::format::tree::{Body, Entry, Node};
use crate::format::words::Word;
use crate::syntax::token::Kind;

/// Columns of one level.
const INDENT: usize = 2;

/// A line of the result.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Columns before its first word.
    pub(super) indent: usize,
    /// Its words.
    pub(super) words: Vec<usize>,
    /// The comment at its end, or all of it.
    pub(super) comment: Option<usize>,
    /// Whether a blank line stands before it.
    pub(super) blank: bool,
    /// Which of its words stands under those of the lines before that have the same number.
    pub(super) column: Option<(usize, usize)>,
}

/// The lines of a file.
pub(super) fn layout(words: &[Word<'_>], file: &Body) -> Vec<Line> {
    let mut layout = Layout { words, lines: Vec::new(), ended: true, columns: 0, reserved: 0 };
    layout.items(file);
    layout.lines
}

/// What the entries of braces are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Statements or branches.
    Statements,
    /// Settings of `data`.
    Data,
    /// Settings of `train`, or of a group in either.
    Training,
}

/// Where lines begin.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The line of the first word.
    first: usize,
    /// All further lines.
    rest: usize,
}

impl Place {
    fn at(indent: usize) -> Place {
        Place { first: indent, rest: indent + INDENT }
    }

    fn further(self) -> Place {
        Place { first: self.rest, rest: self.rest }
    }
}

struct Layout<'a> {
    words: &'a [Word<'a>],
    lines: Vec<Line>,
    /// Whether the last line takes no further word.
    ended: bool,
    /// How many columns have been numbered.
    columns: usize,
    /// Columns of what follows the statement on its last line.
    reserved: usize,
}

impl Layout<'_> {
    fn is_word(&self, node: &Node, kinds: &[Kind]) -> bool {
        match node {
            Node::Word(place) => self.words[*place].kind.is_some_and(|kind| kinds.contains(&kind)),
            Node::Group(_) => false,
        }
    }

    fn is_comment(&self, node: &Node) -> bool {
        matches!(node, Node::Word(place) if self.words[*place].is_comment())
    }

    fn trailing(&mut self, entry: &Entry) {
        if let Some(comment) = entry.trailing {
            self.comment(comment, 0);
        }
    }

    fn begin(&mut self, indent: usize) {
        self.lines.push(Line { indent, ..Line::default() });
        self.ended = false;
    }

    fn push(&mut self, word: usize, place: Place) {
        if self.ended {
            self.begin(place.first);
        }
        if let Some(line) = self.lines.last_mut() {
            line.words.push(word);
        }
    }

    /// A comment: at the end of the line where it was, else on a line of its own.
    fn comment(&mut self, comment: usize, indent: usize) {
        let own =
            self.words[comment].breaks > 0 || self.lines.last().is_none_or(|line| line.comment.is_some());
        if own {
            self.begin(indent);
        }
        if let Some(line) = self.lines.last_mut() {
            line.comment = Some(comment);
        }
        self.ended = true;
    }
}

/// The place of a `;`, which is no word of the text.
pub(super) const SEMICOLON: usize = usize::MAX;
