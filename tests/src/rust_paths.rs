//! The paths that a Rust file names: `use` trees written out, and `a::b` in code. Comments and strings are no code.
//!
//! It reads tokens, not grammar: enough to see which crates and modules a file reaches for, wherever it does so.

/// A path as written, such as `["std", "fs", "read"]`, and the line it stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    /// Its segments; `*` for a glob.
    pub segments: Vec<String>,
    /// Where it begins.
    pub line: usize,
}

/// Every path of two segments or more, and every path of a `use` or `extern crate`.
#[must_use]
pub fn paths(text: &str) -> Vec<NamedPath> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "use" => at = use_tree(&tokens, at + 1, &[], &mut found),
            "crate" if at > 0 && tokens[at - 1].text == "extern" => {
                if let Some(name) = tokens.get(at + 1) {
                    found.push(NamedPath { segments: vec![name.text.clone()], line: name.line });
                }
                at += 2;
            }
            text if is_name(text) => {
                let line = tokens[at].line;
                let mut segments = vec![text.to_owned()];
                at += 1;
                while at + 1 < tokens.len() && tokens[at].text == "::" && is_name(&tokens[at + 1].text) {
                    segments.push(tokens[at + 1].text.clone());
                    at += 2;
                }
                let leads_on = tokens.get(at).is_some_and(|t| t.text == "::");
                if segments.len() > 1 || leads_on {
                    found.push(NamedPath { segments, line });
                }
            }
            _ => at += 1,
        }
    }
    found
}

struct Token {
    text: String,
    line: usize,
}

/// Reads one tree of a `use` after `prefix` and returns the place behind it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t.text != "}") {
                    if tokens[at].text == "," {
                        at += 1;
                    } else {
                        at = use_tree(tokens, at, &segments, found);
                    }
                }
                return at + 1;
            }
            "as" => {
                at += 2;
                break;
            }
            text if is_name(text) || text == "*" => {
                segments.push(text.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if !segments.is_empty() {
        found.push(NamedPath { segments, line });
    }
    // A token that no `use` has: step over it, so that reading always moves on.
    if tokens.get(at).is_some_and(|t| !matches!(t.text.as_str(), "," | "}" | ";")) { at + 1 } else { at }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single characters; white space, comments, literals and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let next = chars.get(at + 1).copied();
        match chars[at] {
            c if c.is_whitespace() => at += 1,
            '/' if next == Some('/') => at = until(&chars, at, |c| c == '\n'),
            '/' if next == Some('*') => at = block_comment(&chars, at),
            '"' => at = string(&chars, at + 1),
            '\'' => at = quote(&chars, at),
            c if c.is_ascii_digit() => at = until(&chars, at, |c| !c.is_alphanumeric() && c != '_'),
            c if c.is_alphabetic() || c == '_' => {
                at = until(&chars, at, |c| !c.is_alphanumeric() && c != '_');
                let name: String = chars[start..at].iter().collect();
                if let Some(end) = prefixed_literal(&chars, at, &name) {
                    at = end;
                } else {
                    found.push(Token { text: name, line });
                }
            }
            ':' if next == Some(':') => {
                found.push(Token { text: "::".to_owned(), line });
                at += 2;
            }
            c => {
                found.push(Token { text: c.to_string(), line });
                at += 1;
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| stop(*c)).map_or(chars.len(), |n| from + n)
}

/// The end of a comment that may hold others.
fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// The end of a string whose opening quote has been read.
fn string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// The end of a character, or of the quote before a lifetime's name, which is then read as a name.
fn quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => until(chars, (at + 3).min(chars.len()), |c| c == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// The end of `r"..."`, `r#"..."#`, `b"..."`, `c"..."`, if that is what `name` begins.
fn prefixed_literal(chars: &[char], at: usize, name: &str) -> Option<usize> {
    let raw = matches!(name, "r" | "br" | "cr");
    if !raw && !matches!(name, "b" | "c") {
        return None;
    }
    let hashes = if raw { chars[at..].iter().take_while(|c| **c == '#').count() } else { 0 };
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    if !raw {
        return Some(string(chars, at + 1));
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = at + hashes + 1;
    let end = chars[body..].windows(close.len()).position(|w| w == close);
    Some(end.map_or(chars.len(), |n| body + n + close.len()))
}

#[cfg(test)]
mod tests {
    use super::paths;

    fn written(text: &str) -> Vec<String> {
        paths(text).into_iter().map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_written_out() {
        let text = "use std::{fmt, fs::{self, File as F}, *}; pub(crate) use nom;";
        assert_eq!(written(text), ["std::fmt", "std::fs::self", "std::fs::File", "std::*", "nom"]);
    }

    #[test]
    fn paths_in_code_are_found_and_text_is_not() {
        let text = "// naga::front\n/* a /* wgpu::x */ b::c */ fn f<'a>(x: &'a wgpu::Buffer) -> char { \"nom::y\"; r#\"p\"::q\"#; ':' }";
        assert_eq!(written(text), ["wgpu::Buffer"]);
    }

    #[test]
    fn the_line_is_where_the_path_begins() {
        assert_eq!(paths("\n\"two\nlines\";\nstd::mem::take(x)")[0].line, 4);
    }
}
