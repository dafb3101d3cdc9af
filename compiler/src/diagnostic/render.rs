//! A diagnostic as text: the lines it speaks of, with carets and labels under them.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, Sources, Span};

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

/// Columns of `text` as it is printed.
fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Columns of a letter as it is printed: a tab as four spaces, a control character as a sign that stands for it.
fn columns_of(letter: char) -> usize {
    if letter == '\t' { 4 } else { letter.width().unwrap_or(1) }
}

fn source_line(
    out: &mut String,
    source: &Source,
    (number, skip): (usize, usize),
    width: usize,
    paint: Paint,
) {
    let gutter = paint.gutter(&format!("{:>width$} |", number + 1));
    let mut text = String::new();
    let (mut column, end) = (0, skip + WIDEST);
    for letter in source.line(number).chars() {
        let from = column;
        column += columns_of(letter);
        let inside = column.min(end).saturating_sub(from.max(skip));
        match letter {
            '\t' => text.push_str(&" ".repeat(inside)),
            _ if from < skip || column > end => text.push_str(&" ".repeat(inside)),
            letter if letter.is_control() => text.push('\u{fffd}'),
            letter => text.push(letter),
        }
        if column > end {
            text.push_str(" ...");
            break;
        }
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
    use crate::diagnostic::Label;
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
    fn a_caret_stands_under_what_it_means_behind_letters_of_any_width() {
        for before in ["", "日本", "e\u{301}", "\t日", "\u{200b}", "\u{7}語"] {
            let text = format!("{before}x {before}\n");
            let mut sources = Sources::new();
            sources.add("m.nn", text.clone());
            let printed = render(&Diagnostic::error("E0000", "m", span(&text, "x")), &sources, Colour::Never);
            let rows: Vec<&str> = printed.lines().collect();
            assert_eq!(
                columns(&rows[3][..rows[3].find('x').unwrap()]),
                rows[4].find('^').unwrap(),
                "{printed}"
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_by_columns_and_the_caret_with_it() {
        for begin in ["", "a"] {
            let text = format!("{begin}{}x{}\n", "日".repeat(400), "本".repeat(400));
            let mut sources = Sources::new();
            sources.add("m.nn", text.clone());
            let printed = render(&Diagnostic::error("E0000", "m", span(&text, "x")), &sources, Colour::Never);
            let rows: Vec<&str> = printed.lines().collect();
            assert_eq!(
                columns(&rows[3][..rows[3].find('x').unwrap()]),
                rows[4].find('^').unwrap(),
                "{printed}"
            );
            assert_eq!(columns(rows[3]), columns("1 | ") + WIDEST + columns(" ..."), "{printed}");
        }
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
}
