//! The texts of one compilation, and places in them.
//!
//! The library reads no files: [`Sources`] holds texts that were handed in, and a [`Loader`] supplies what
//! a `use` line names.

use serde::{Deserialize, Serialize};

/// A text of a [`Sources`], by its place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub u16);

/// A stretch of one text, `start..end` in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The text it lies in.
    pub file: FileId,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of `file`.
    #[must_use]
    pub fn new(file: FileId, start: usize, end: usize) -> Span {
        Span { file, start: offset(start), end: offset(end) }
    }

    /// The stretch from the start of `self` to the end of `other`, which lies in the same text.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start, end: other.end.max(self.start) }
    }

    /// Whether `other` lies inside `self`.
    #[must_use]
    pub fn contains(self, other: Span) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }
}

/// A byte offset; texts are shorter than 4 GiB.
fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// One text and where its lines begin.
#[derive(Clone, Debug)]
pub struct Source {
    id: FileId,
    path: String,
    text: String,
    lines: Vec<usize>,
}

impl Source {
    /// Its place in the [`Sources`].
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The path that diagnostics print.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line that holds byte `offset`, from 0.
    #[must_use]
    pub fn line_of(&self, offset: u32) -> usize {
        self.lines.partition_point(|start| *start <= offset as usize).saturating_sub(1)
    }

    /// Line `line` (from 0) without its line break.
    #[must_use]
    pub fn line(&self, line: usize) -> &str {
        let start = self.line_start(line);
        let end = self.line_start(line + 1);
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// The byte at which line `line` (from 0) begins; past the last line, the length of the text.
    #[must_use]
    pub fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// Line and column of byte `offset`, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let line = self.line_of(offset);
        let start = self.line_start(line);
        let end = (offset as usize).clamp(start, self.text.len());
        (line + 1, self.text.get(start..end).map_or(0, |text| text.chars().count()) + 1)
    }

    /// The text of `span`, which lies in this source.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }
}

/// All texts of one compilation, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// No texts.
    #[must_use]
    pub fn new() -> Sources {
        Sources::default()
    }

    /// Adds the text of `path` and says where it stands.
    ///
    /// # Panics
    ///
    /// With more than 65,536 texts.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u16::try_from(self.files.len()).expect("a compilation has at most 65,536 files"));
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place + 1));
        self.files.push(Source { id, path: path.into(), text, lines });
        id
    }

    /// The text `id`.
    ///
    /// # Panics
    ///
    /// When `id` is of another [`Sources`].
    #[must_use]
    pub fn source(&self, id: FileId) -> &Source {
        &self.files[usize::from(id.0)]
    }

    /// The text whose path is `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<FileId> {
        self.files.iter().find(|source| source.path == path).map(|source| source.id)
    }

    /// All texts.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The text of `span`.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.files.get(usize::from(span.file.0)).map_or("", |source| source.slice(span))
    }

    /// `path:line:column` of the start of `span`.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        match self.files.get(usize::from(span.file.0)) {
            Some(source) => {
                let (line, column) = source.position(span.start);
                format!("{}:{line}:{column}", source.path)
            }
            None => "?".to_owned(),
        }
    }
}

/// Where the texts that `use` names come from.
pub trait Loader {
    /// The canonical path and the text of `path` as written in the file `from`.
    ///
    /// # Errors
    ///
    /// One sentence that says why there is no such text.
    fn load(&self, path: &str, from: &str) -> Result<(String, String), String>;
}

/// A loader that knows no files, for models that stand alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, path: &str, _from: &str) -> Result<(String, String), String> {
        Err(format!("there is no file `{path}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let mut sources = Sources::new();
        let id = sources.add("a.nn", "one\nzwölf x\n");
        let source = sources.source(id);
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(4), (2, 1));
        let x = source.text().find('x').unwrap();
        assert_eq!(source.position(u32::try_from(x).unwrap()), (2, 7));
        assert_eq!(source.line(1), "zwölf x");
        assert_eq!(source.line(2), "");
    }
}
