//! Words as a tree: brackets hold what stands between them, bodies hold statements.

use crate::format::words::Word;
use crate::syntax::token::Kind;

/// A word or a bracket with what it holds.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// The word at this place.
    Word(usize),
    /// A bracket.
    Group(Group),
}

/// A bracket with what it holds.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The place of the opening bracket.
    pub(super) open: usize,
    /// The place of the closing one.
    pub(super) close: usize,
    /// What stands between.
    pub(super) inner: Inner,
}

/// What a bracket holds.
#[derive(Clone, Debug)]
pub(super) enum Inner {
    /// `( )` and `[ ]`: words, with commas and comments.
    List(Vec<Node>),
    /// `{ }`: statements.
    Body(Body),
}

/// Statements and the comments between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    /// The comment on the line of the `{`.
    pub(super) opening: Option<usize>,
    /// What stands between the braces.
    pub(super) entries: Vec<Entry>,
}

/// A statement, or a comment on a line of its own.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its words; a comment is one word.
    pub(super) nodes: Vec<Node>,
    /// Whether a blank line stands before it.
    pub(super) blank: bool,
    /// The comment at the end of its last line.
    pub(super) trailing: Option<usize>,
    /// Whether it is nothing but a comment.
    pub(super) is_comment: bool,
}

/// The items of a file.
pub(super) fn file(words: &[Word<'_>]) -> Body {
    let mut reader = Reader { words, place: 0 };
    reader.body()
}

struct Reader<'a> {
    words: &'a [Word<'a>],
    place: usize,
}

impl Reader<'_> {
    /// Statements up to a `}` or the end.
    fn body(&mut self) -> Body {
        let mut body = Body::default();
        let begin = self.place;
        while let Some(word) = self.words.get(self.place) {
            if word.is(Kind::CloseBrace) {
                break;
            }
            if word.is_comment() {
                if word.breaks == 0 && self.place == begin {
                    body.opening = Some(self.place);
                } else {
                    self.comment(&mut body);
                }
                self.place += 1;
                continue;
            }
            let blank = word.breaks > 1;
            let nodes = self.statement();
            let (nodes, comments) = split_comments(self.words, nodes);
            body.entries.push(Entry { nodes, blank, trailing: None, is_comment: false });
            let after = std::mem::replace(&mut self.place, 0);
            for comment in comments {
                self.place = comment;
                self.comment(&mut body);
            }
            self.place = after;
        }
        body
    }

    /// The comment at this place, as part of the statement before or by itself.
    fn comment(&self, body: &mut Body) {
        let word = &self.words[self.place];
        match body.entries.last_mut() {
            Some(entry) if word.breaks == 0 && !entry.is_comment => entry.trailing = Some(self.place),
            _ => body.entries.push(Entry {
                nodes: vec![Node::Word(self.place)],
                blank: word.breaks > 1,
                trailing: None,
                is_comment: true,
            }),
        }
    }

    /// Nodes up to the end of the statement; a line end behind an attribute ends none, but where what follows would be
    /// taken for its arguments.
    fn statement(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        let (mut goes_on, mut attributed) = (true, false);
        while let Some(word) = self.words.get(self.place) {
            let ends = word.ends_statement_before && (!goes_on || attributed && word.is(Kind::OpenParen));
            if ends || word.is(Kind::CloseBrace) {
                break;
            }
            let comment = word.is_comment();
            nodes.push(self.node());
            if !comment {
                attributed = self.words[self.place - 1].closes_attribute;
                goes_on = attributed;
            }
        }
        nodes
    }

    fn node(&mut self) -> Node {
        let open = self.place;
        self.place += 1;
        let inner = match self.words[open].kind {
            Some(Kind::OpenBrace) => Inner::Body(self.body()),
            Some(Kind::OpenParen | Kind::OpenBracket) => Inner::List(self.list()),
            _ => return Node::Word(open),
        };
        let close = self.place;
        self.place += 1;
        Node::Group(Group { open, close, inner })
    }

    /// Nodes up to the closing bracket.
    fn list(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some(word) = self.words.get(self.place) {
            if word.is(Kind::CloseParen) || word.is(Kind::CloseBracket) {
                break;
            }
            nodes.push(self.node());
        }
        nodes
    }
}

/// A statement without the comments at its end, and those comments.
fn split_comments(words: &[Word<'_>], mut nodes: Vec<Node>) -> (Vec<Node>, Vec<usize>) {
    let mut comments = Vec::new();
    while let Some(Node::Word(place)) = nodes.last() {
        if !words[*place].is_comment() {
            break;
        }
        comments.push(*place);
        nodes.pop();
    }
    comments.reverse();
    (nodes, comments)
}
