//! Diagnostics as they are found: each mistake once, and no more than anybody reads.

use std::collections::BTreeSet;

use super::{Diagnostic, Severity};
use crate::source::Span;

/// The most errors that are kept, and the most warnings.
pub const MOST: usize = 100;

/// A list of diagnostics in which no two are the same. Two expansions of one file find one mistake twice, and a
/// broken file of many lines has a mistake in each; the first [`MOST`] are kept and the rest counted.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Diagnostic>,
    known: BTreeSet<(&'static str, Span, String)>,
    errors: Count,
    warnings: Count,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    kept: usize,
    left_out: usize,
}

impl Findings {
    /// Adds `diagnostic`, if it is new.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        let count = self.count(diagnostic.severity);
        if count.kept >= MOST {
            count.left_out += 1;
            return;
        }
        let key = (diagnostic.code, diagnostic.primary.span, diagnostic.message.clone());
        if self.known.insert(key) {
            self.count(diagnostic.severity).kept += 1;
            self.kept.push(diagnostic);
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors.kept > 0
    }

    /// Whether no further error is kept, so that it need not be worked out what one would say.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.errors.kept >= MOST
    }

    /// Drops all but the first `length`.
    pub fn truncate(&mut self, length: usize) {
        for dropped in self.kept.split_off(length.min(self.kept.len())) {
            self.count(dropped.severity).kept -= 1;
            self.known.remove(&(dropped.code, dropped.primary.span, dropped.message));
        }
    }

    /// Drops those after the first `length` that say of the same thing what another of them says before: the same words
    /// with the same further places, what a field is declared as, or an unknown name that was unknown before.
    pub fn drop_repeated(&mut self, length: usize) {
        let mut said = BTreeSet::new();
        for diagnostic in self.kept.split_off(length.min(self.kept.len())) {
            let places: Vec<Span> = diagnostic.secondary.iter().map(|label| label.span).collect();
            let one_thing = !places.is_empty() || ["E0201", "E0312"].contains(&diagnostic.code);
            let of_a_field = ["E0312", "E0402"].contains(&diagnostic.code);
            let words = if of_a_field { String::new() } else { diagnostic.message.clone() };
            let is_new = said.insert((diagnostic.code, words, places));
            if is_new || !one_thing {
                self.kept.push(diagnostic);
            } else {
                self.count(diagnostic.severity).kept -= 1;
            }
        }
    }

    /// All that are kept, in the order of their places, those of one place as they were found. The last error says how many are not, and so does the last
    /// warning.
    #[must_use]
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|diagnostic| (diagnostic.primary.span.file, diagnostic.primary.span.start));
        for (severity, count, noun) in
            [(Severity::Error, self.errors, "errors"), (Severity::Warning, self.warnings, "warnings")]
        {
            let last = self.kept.iter_mut().rev().find(|diagnostic| diagnostic.severity == severity);
            if let Some(last) = last.filter(|_| count.left_out > 0) {
                last.notes.push(format!("{} further {noun} are not shown", count.left_out));
            }
        }
        self.kept
    }

    fn count(&mut self, severity: Severity) -> &mut Count {
        match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        }
    }
}

impl Extend<Diagnostic> for Findings {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn numbered(place: usize) -> Diagnostic {
        Diagnostic::error("E0201", "unknown", Span::new(FileId(0), place, place))
    }

    #[test]
    fn the_same_mistake_is_kept_once() {
        let mut findings = Findings::default();
        findings.extend([numbered(0), numbered(1), numbered(0).help("another help")]);
        assert_eq!(findings.finish().len(), 2);
    }

    #[test]
    fn they_are_told_in_the_order_of_their_places() {
        let of =
            |file, start| Diagnostic::error("E0201", "unknown", Span::new(FileId(file), start, start + 1));
        let mut findings = Findings::default();
        findings.extend([
            of(1, 0),
            of(0, 9),
            Diagnostic::warning("W0201", "unused", of(0, 9).primary.span),
            of(0, 4),
        ]);
        let told = findings.finish();
        let places: Vec<_> =
            told.iter().map(|one| (one.primary.span.file.0, one.primary.span.start, one.code)).collect();
        assert_eq!(places, [(0, 4, "E0201"), (0, 9, "E0201"), (0, 9, "W0201"), (1, 0, "E0201")]);
    }

    #[test]
    fn beyond_the_most_errors_are_counted_and_warnings_still_kept() {
        let mut findings = Findings::default();
        findings.extend((0..MOST + 3).map(numbered));
        let warning = Diagnostic { severity: Severity::Warning, ..numbered(MOST + 3) };
        findings.add(Diagnostic { code: "W0201", ..warning });
        let kept = findings.finish();
        assert_eq!(kept.len(), MOST + 1);
        assert_eq!(kept[MOST - 1].notes, ["3 further errors are not shown"]);
        assert!(kept[MOST].notes.is_empty());
    }

    #[test]
    fn what_is_dropped_can_be_found_again() {
        let mut findings = Findings::default();
        findings.extend([numbered(0), numbered(1)]);
        findings.truncate(1);
        findings.add(numbered(1));
        assert_eq!(findings.len(), 2);
    }
}
