//! The words of the language.

use crate::source::Span;

/// One word of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its letters as written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// For a bracket, the place of its partner in the list of tokens.
    pub partner: usize,
}

impl Token {
    /// How messages call it: its letters in backticks, or what it stands for.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::Separator if self.text == ";" => "`;`".to_owned(),
            Kind::Separator => "the end of the line".to_owned(),
            Kind::End => "the end of the file".to_owned(),
            Kind::Doc => "a doc comment".to_owned(),
            Kind::Text => "a string".to_owned(),
            _ => format!("`{}`", self.text),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a token is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            /// An identifier that is not reserved.
            Name,
            /// `64`, `1_000`
            Integer,
            /// `0.5`, `1e-3`
            Float,
            /// `"..."`
            Text,
            /// `## ...`
            Doc,
            /// A line end that ends a statement, or `;`.
            Separator,
            /// The end of the text.
            End,
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Kind {
            /// Every kind that is always written the same, with its letters; longest operators first.
            pub const FIXED: &[(Kind, &str)] = &[$((Kind::$name, $text),)*];

            /// What messages say is wanted.
            #[must_use]
            pub fn describe(self) -> &'static str {
                match self {
                    Kind::Name => "a name",
                    Kind::Integer => "an integer",
                    Kind::Float => "a number",
                    Kind::Text => "a string",
                    Kind::Doc => "a doc comment",
                    Kind::Separator => "the end of the line",
                    Kind::End => "the end of the file",
                    $(Kind::$name => concat!("`", $text, "`"),)*
                }
            }
        }
    };
}

kinds! {
    Arrow = "->",
    Range = "..",
    Equal = "==",
    Unequal = "!=",
    AtMost = "<=",
    AtLeast = ">=",
    Power = "**",
    FloorDivide = "//",
    OpenParen = "(",
    CloseParen = ")",
    OpenBracket = "[",
    CloseBracket = "]",
    OpenBrace = "{",
    CloseBrace = "}",
    Comma = ",",
    Colon = ":",
    Assign = "=",
    Dot = ".",
    At = "@",
    Plus = "+",
    Minus = "-",
    Times = "*",
    Divide = "/",
    Remainder = "%",
    Less = "<",
    Greater = ">",
    Layer = "layer",
    Weight = "weight",
    State = "state",
    Grad = "grad",
    If = "if",
    Else = "else",
    Repeat = "repeat",
    In = "in",
    As = "as",
    And = "and",
    Or = "or",
    Not = "not",
    True = "true",
    False = "false",
    Where = "where",
}

impl Kind {
    /// Whether a line that ends with it goes on in the next one.
    #[must_use]
    pub fn continues_the_line(self) -> bool {
        match self {
            Kind::Name
            | Kind::Integer
            | Kind::Float
            | Kind::Text
            | Kind::Doc
            | Kind::Separator
            | Kind::End
            | Kind::CloseParen
            | Kind::CloseBracket
            | Kind::CloseBrace
            | Kind::True
            | Kind::False => false,
            Kind::Arrow
            | Kind::Range
            | Kind::Equal
            | Kind::Unequal
            | Kind::AtMost
            | Kind::AtLeast
            | Kind::Power
            | Kind::FloorDivide
            | Kind::OpenParen
            | Kind::OpenBracket
            | Kind::OpenBrace
            | Kind::Comma
            | Kind::Colon
            | Kind::Assign
            | Kind::Dot
            | Kind::At
            | Kind::Plus
            | Kind::Minus
            | Kind::Times
            | Kind::Divide
            | Kind::Remainder
            | Kind::Less
            | Kind::Greater
            | Kind::Layer
            | Kind::Weight
            | Kind::State
            | Kind::Grad
            | Kind::If
            | Kind::Else
            | Kind::Repeat
            | Kind::In
            | Kind::As
            | Kind::And
            | Kind::Or
            | Kind::Not
            | Kind::Where => true,
        }
    }

    /// Whether a line that begins with it goes on with the one before.
    #[must_use]
    pub fn continues_the_line_before(self) -> bool {
        matches!(self, Kind::Arrow | Kind::Else | Kind::Where | Kind::CloseBrace)
    }

    /// The bracket that closes it.
    #[must_use]
    pub fn closing(self) -> Option<Kind> {
        match self {
            Kind::OpenParen => Some(Kind::CloseParen),
            Kind::OpenBracket => Some(Kind::CloseBracket),
            Kind::OpenBrace => Some(Kind::CloseBrace),
            _ => None,
        }
    }
}
