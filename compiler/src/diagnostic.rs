//! What is wrong with a model, said in the terms of its text.
//!
//! A [`Diagnostic`] names a fact, the place that shows it, the places that explain it, and what to write
//! instead. [`render`] prints it; [`Diagnostic::to_json`] gives the same to editors.

mod codes;
mod findings;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::source::{Source, Sources, Span};

pub use codes::{CODES, explain};
pub use findings::{Findings, MOST};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The model has no meaning.
    Error,
    /// The model has a meaning that is probably not the intended one.
    Warning,
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The fact, possibly empty.
    pub message: String,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its number, such as `E0301`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one sentence.
    pub message: String,
    /// Where it shows.
    pub primary: Label,
    /// The places that explain it.
    pub secondary: Vec<Label>,
    /// Further facts.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The error `code` at `span`.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Label { span, message: String::new() },
            secondary: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// The warning `code` at `span`.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message, span) }
    }

    /// With the fact at the primary place.
    #[must_use]
    pub fn fact(mut self, message: impl Into<String>) -> Diagnostic {
        self.primary.message = message.into();
        self
    }

    /// With a further place.
    #[must_use]
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label { span, message: message.into() });
        self
    }

    /// With a further fact.
    #[must_use]
    pub fn note(mut self, message: impl Into<String>) -> Diagnostic {
        self.notes.push(message.into());
        self
    }

    /// With what to write instead.
    #[must_use]
    pub fn help(mut self, message: impl Into<String>) -> Diagnostic {
        self.help = Some(message.into());
        self
    }

    /// With what to write instead, where that is known.
    #[must_use]
    pub fn help_maybe(mut self, message: Option<String>) -> Diagnostic {
        self.help = message.or(self.help);
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same for editors: lines and columns from 1, columns in characters.
    #[must_use]
    pub fn to_json(&self, sources: &Sources) -> Value {
        let place = |label: &Label, primary: bool| {
            let source = sources.source(label.span.file);
            let (line, column) = source.position(label.span.start);
            let (end_line, end_column) = source.position(label.span.end);
            json!({
                "file": source.path(), "line": line, "column": column,
                "end_line": end_line, "end_column": end_column,
                "message": label.message, "primary": primary,
            })
        };
        let mut labels = vec![place(&self.primary, true)];
        labels.extend(self.secondary.iter().map(|label| place(label, false)));
        json!({
            "code": self.code, "severity": self.severity, "message": self.message,
            "labels": labels, "notes": self.notes, "help": self.help,
        })
    }
}

/// A value and what there is to say about the text it came from.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    /// The value; after an error, as much of it as has a meaning.
    pub value: T,
    /// What is wrong, in the order of finding.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Checked<T> {
    /// A value without diagnostics.
    pub fn clean(value: T) -> Checked<T> {
        Checked { value, diagnostics: Vec::new() }
    }

    /// Whether any diagnostic is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The same diagnostics with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Checked<U> {
        Checked { value: change(self.value), diagnostics: self.diagnostics }
    }
}

/// Whether to print with colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// ANSI escape sequences.
    Ansi,
}

/// `diagnostic` as printed, with a final line break.
#[must_use]
pub fn render(diagnostic: &Diagnostic, sources: &Sources, colour: Colour) -> String {
    let paint = Paint { colour, severity: diagnostic.severity };
    let mut out = String::new();
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let head = paint.strong(&format!("{severity}[{}]", diagnostic.code));
    let _ = writeln!(out, "{head}: {}", diagnostic.message);
    let marks = marks_by_line(diagnostic, sources);
    let last = marks.iter().map(|group| group.lines.last().map_or(0, |line| line.number)).max().unwrap_or(0);
    let width = (last + 1).to_string().len();
    let blank = paint.gutter(&format!("{:width$} |", ""));
    for (order, group) in marks.iter().enumerate() {
        let arrow = if order == 0 { "-->" } else { ":::" };
        let span = if order == 0 { diagnostic.primary.span } else { group.first };
        let _ = writeln!(out, "{:width$}{} {}", "", paint.gutter(arrow), sources.place(span));
        let _ = writeln!(out, "{blank}");
        let mut previous: Option<usize> = None;
        for line in &group.lines {
            match previous {
                Some(before) if line.number == before + 2 => {
                    let between = before + 1;
                    source_line(&mut out, group.source, (between, 0), width, paint);
                }
                Some(before) if line.number > before + 2 => {
                    let _ = writeln!(out, "{}", paint.gutter("..."));
                }
                _ => {}
            }
            source_line(&mut out, group.source, (line.number, line.skip), width, paint);
            mark_lines(&mut out, line, &blank, paint);
            previous = Some(line.number);
        }
    }
    if !diagnostic.notes.is_empty() || diagnostic.help.is_some() {
        let _ = writeln!(out, "{blank}");
    }
    let equals = paint.gutter(&format!("{:width$} =", ""));
    for note in &diagnostic.notes {
        let _ = writeln!(out, "{equals} note: {note}");
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{equals} help: {help}");
    }
    out
}

/// All of `diagnostics` as printed, one blank line between two.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources, colour: Colour) -> String {
    let printed: Vec<String> = diagnostics.iter().map(|one| render(one, sources, colour)).collect();
    printed.join("\n")
}

/// Names of so many letters are like no other.
const LONGEST_NAME: usize = 65;

/// The known name closest to `name`, when it is close enough to have been meant: at most a third of the letters of the
/// shorter one differ, or nothing but case and `_`, or one has a letter more at its end, as `lrr` has.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length >= LONGEST_NAME {
        return None;
    }
    let folded = fold(name);
    let near = |candidate: &'a str| {
        let other = candidate.chars().count();
        if candidate == name || other >= LONGEST_NAME {
            return None;
        }
        if fold(candidate) == folded {
            return Some((1, candidate));
        }
        let (short, long) = if length < other { (name, candidate) } else { (candidate, name) };
        if length.min(other) > 1 && length.abs_diff(other) == 1 && long.starts_with(short) {
            return Some((1, candidate));
        }
        let distance = edit_distance(name, candidate);
        (distance <= length.min(other) / 3).then_some((distance, candidate))
    };
    known.into_iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

/// `1 value`, `2 values`
#[must_use]
pub fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// ``did you mean `...`?`` for the known name closest to `name`.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|found| format!("did you mean `{found}`?"))
}

/// `text` without case and `_`.
fn fold(text: &str) -> String {
    text.to_lowercase().replace('_', "")
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let change = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

/// The most columns of a line that are shown.
const WIDEST: usize = 240;

/// The marks of one text.
struct MarkedFile<'a> {
    source: &'a Source,
    first: Span,
    lines: Vec<MarkedLine<'a>>,
}

/// The marks of one line (numbered from 0), from left to right; of a long line, the columns from `skip` on are
/// shown.
struct MarkedLine<'a> {
    number: usize,
    skip: usize,
    marks: Vec<Mark<'a>>,
}

impl MarkedLine<'_> {
    /// Keeps of a long line what lies around its primary mark, or else around its first.
    fn cut(&mut self) {
        let middle = self.marks.iter().find(|mark| mark.primary).or(self.marks.first());
        let Some(middle) = middle.map(|mark| mark.column) else { return };
        self.skip = if middle >= WIDEST { middle - WIDEST / 4 } else { 0 };
        let (from, to) = (self.skip, self.skip + WIDEST);
        self.marks.retain(|mark| mark.column >= from && mark.column < to);
        for mark in &mut self.marks {
            mark.column -= from;
            mark.width = mark.width.min(WIDEST - mark.column);
        }
    }
}

/// A stretch of a line, in columns from 0.
struct Mark<'a> {
    column: usize,
    width: usize,
    primary: bool,
    message: &'a str,
}

fn marks_by_line<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<MarkedFile<'a>> {
    let labels = std::iter::once((&diagnostic.primary, true))
        .chain(diagnostic.secondary.iter().map(|label| (label, false)));
    let mut files: Vec<MarkedFile<'a>> = Vec::new();
    for (label, primary) in labels {
        let source = sources.source(label.span.file);
        let number = source.line_of(label.span.start);
        let start = source.line_start(number);
        let text = source.line(number);
        let from = (label.span.start as usize - start).min(text.len());
        let to = (label.span.end as usize).saturating_sub(start).clamp(from, text.len());
        let column = columns(&text[..from]);
        let width = columns(&text[from..to]).max(1);
        let mark = Mark { column, width, primary, message: &label.message };
        let place = files.iter().position(|file| file.source.id() == source.id()).unwrap_or_else(|| {
            files.push(MarkedFile { source, first: label.span, lines: Vec::new() });
            files.len() - 1
        });
        let lines = &mut files[place].lines;
        match lines.binary_search_by_key(&number, |line| line.number) {
            Ok(found) => {
                if !lines[found].marks.iter().any(|other| other.column == mark.column && !mark.primary) {
                    lines[found].marks.push(mark);
                }
            }
            Err(place) => lines.insert(place, MarkedLine { number, skip: 0, marks: vec![mark] }),
        }
    }
    for line in files.iter_mut().flat_map(|file| &mut file.lines) {
        line.marks.sort_by_key(|mark| mark.column);
        line.cut();
    }
    files
}

/// Columns of `text`; a tab is printed as four.
fn columns(text: &str) -> usize {
    text.chars().map(|letter| if letter == '\t' { 4 } else { 1 }).sum()
}

fn source_line(
    out: &mut String,
    source: &Source,
    (number, skip): (usize, usize),
    width: usize,
    paint: Paint,
) {
    let gutter = paint.gutter(&format!("{:>width$} |", number + 1));
    let letters = source.line(number).chars().flat_map(|letter| match letter {
        '\t' => [' '; 4].to_vec(),
        letter if letter.is_control() => vec!['\u{fffd}'],
        letter => vec![letter],
    });
    let mut shown = letters.skip(skip);
    let mut text: String = shown.by_ref().take(WIDEST).collect();
    if shown.next().is_some() {
        text.push_str(" ...");
    }
    let _ = writeln!(out, "{}", format!("{gutter} {text}").trim_end());
}

/// The marks under a line, the message of the last one beside it, those of the others below, from right to
/// left.
fn mark_lines(out: &mut String, line: &MarkedLine<'_>, blank: &str, paint: Paint) {
    let mut under = String::new();
    let mut column = 0;
    for (order, mark) in line.marks.iter().enumerate() {
        let next = line.marks.get(order + 1).map_or(usize::MAX, |next| next.column);
        let from = mark.column.max(column);
        let to = (mark.column + mark.width).min(next).max(from);
        under.push_str(&" ".repeat(from - column));
        let sign = if mark.primary { "^" } else { "-" };
        under.push_str(&paint.mark(&sign.repeat(to - from), mark.primary));
        column = to;
    }
    let Some((last, others)) = line.marks.split_last() else { return };
    let beside = paint.mark(last.message, last.primary);
    let _ = writeln!(out, "{}", format!("{blank} {under} {beside}").trim_end());
    let waiting: Vec<&Mark<'_>> = others.iter().filter(|mark| !mark.message.is_empty()).collect();
    for (order, mark) in waiting.iter().enumerate().rev() {
        let mut row = String::new();
        let mut column = 0;
        for before in &waiting[..order] {
            row.push_str(&" ".repeat(before.column - column));
            row.push_str(&paint.mark("|", before.primary));
            column = before.column + 1;
        }
        row.push_str(&" ".repeat(mark.column - column));
        row.push_str(&paint.mark(mark.message, mark.primary));
        let _ = writeln!(out, "{blank} {row}");
    }
}

#[derive(Clone, Copy)]
struct Paint {
    colour: Colour,
    severity: Severity,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::Ansi if !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Ansi | Colour::Never => text.to_owned(),
        }
    }

    fn strong(self, text: &str) -> String {
        match self.severity {
            Severity::Error => self.with("1;31", text),
            Severity::Warning => self.with("1;33", text),
        }
    }

    fn gutter(self, text: &str) -> String {
        self.with("1;34", text)
    }

    fn mark(self, text: &str, primary: bool) -> String {
        if primary { self.strong(text) } else { self.with("1;34", text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn span(text: &str, part: &str) -> Span {
        let start = text.find(part).unwrap();
        Span::new(FileId(0), start, start + part.len())
    }

    #[test]
    fn labels_of_one_line_hang_below_from_right_to_left() {
        let text = "\n\nloss = mean((price - paid) ** 2)\n";
        let mut sources = Sources::new();
        sources.add("model.nn", text);
        let diagnostic = Diagnostic::error("E0308", "the result would pair examples", span(text, "- p"))
            .fact("result f32[N, N]")
            .label(span(text, "price"), "f32[N, 1]")
            .label(span(text, "paid"), "f32[N]")
            .help("drop a dim");
        let diagnostic = Diagnostic {
            primary: Label {
                span: Span { end: diagnostic.primary.span.start + 1, ..diagnostic.primary.span },
                ..diagnostic.primary
            },
            ..diagnostic
        };
        let expected = "\
error[E0308]: the result would pair examples
 --> model.nn:3:20
  |
3 | loss = mean((price - paid) ** 2)
  |              ----- ^ ---- f32[N]
  |              |     result f32[N, N]
  |              f32[N, 1]
  |
  = help: drop a dim
";
        assert_eq!(render(&diagnostic, &sources, Colour::Never), expected);
    }

    #[test]
    fn a_gap_of_one_line_is_shown_and_a_longer_one_is_cut() {
        let text = "a\nb\nc\nd\ne\nf\n";
        let mut sources = Sources::new();
        sources.add("m.nn", text);
        let diagnostic = Diagnostic::warning("W0000", "x", span(text, "a"))
            .label(span(text, "c"), "here")
            .label(span(text, "f"), "there");
        let expected = "\
warning[W0000]: x
 --> m.nn:1:1
  |
1 | a
  | ^
2 | b
3 | c
  | - here
...
6 | f
  | - there
";
        assert_eq!(render(&diagnostic, &sources, Colour::Never), expected);
    }

    #[test]
    fn suggestions_are_close_or_absent() {
        let known = ["batch_norm", "conv", "relu", "pad"];
        assert_eq!(nearest("batchnorm", known), Some("batch_norm"));
        assert_eq!(nearest("padd", known), Some("pad"));
        assert_eq!(nearest("transformer", known), None);
        assert_eq!(nearest("cnov", known), Some("conv"));
        assert_eq!(nearest("RELU", known), Some("relu"));
        for (name, other) in
            [("clip", "ceil"), ("foo", "cos"), ("std", "sgdm"), ("median", "mean"), ("LRN", "N")]
        {
            assert_eq!(nearest(name, [other]), None, "{name} is not {other}");
        }
        assert_eq!(nearest("conv", ["conv"]), None, "no name is meant by itself");
    }
}
