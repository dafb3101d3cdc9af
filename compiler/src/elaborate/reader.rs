//! Sources: which reader reads the examples of a part, and what is left to it.
//!
//! A model whose examples cannot be read can still be built, measured and verified. What is wrong with a source, and
//! what `prepare` and `augment` ask of a reader that none does, is therefore kept apart, in `unread`, and reported
//! where examples are to be read.

mod steps;

use nnc_runtime::artifact::{Argument, Field, Part};
use nnc_runtime::reader::{READERS, Reader, ReaderOption};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::elsewhere::{option_of_reader, reader_help};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{self, ExprKind, Name};

pub(super) use steps::{Binding, HostStep, Step};

/// Readers of the language that this version does not have.
const PLANNED: [&str; 1] = ["coco"];
/// Arguments of readers that this version does not have; with one, a reader is to be called in another form.
const PLANNED_ARGUMENTS: [(&str, &str); 1] = [("csv", "text")];

impl<'a> Elaborator<'a> {
    /// A source such as `idx("images", "labels", take=0..0.9)`, for data with these fields.
    pub(super) fn part(
        &mut self,
        frame: &mut Frame<'a>,
        name: &str,
        value: &'a ast::Expr,
        fields: &[Field],
    ) -> Outcome<Part> {
        let (reader, place, arguments) = match &value.kind {
            ExprKind::Call { callee, arguments } => match &callee.kind {
                ExprKind::Name(reader) => (reader, callee.span, arguments.as_slice()),
                _ => return self.no_reader(value.span),
            },
            ExprKind::Name(reader) => (reader, value.span, [].as_slice()),
            _ => return self.no_reader(value.span),
        };
        let known = Reader::named(reader);
        if known.is_none() {
            self.unknown_reader(reader, place);
        }
        let mut paths = Vec::new();
        let mut options: Vec<(String, Argument)> = Vec::new();
        for argument in arguments {
            let given = self.expression(frame, &argument.value)?;
            let converted = self.reader_argument(&given, argument.value.span)?;
            match (&argument.name, converted) {
                (Some(name), converted) => {
                    let again = options.iter().any(|(other, _)| *other == name.text);
                    self.check_option(known, name, &converted, argument.value.span, again);
                    options.push((name.text.clone(), converted));
                }
                (None, Argument::Text(path)) => paths.push(path),
                (None, _) => {
                    let message = "an argument without a name is a path";
                    return self.fail("E0204", argument.span, message, "this is no string");
                }
            }
        }
        if let Some(known) = known {
            self.check_whole(known, &paths, &options, fields, value.span);
        }
        options.extend(self.steps_of_reader(known, fields));
        let origin = Some(self.location(value.span));
        Ok(Part { name: name.to_owned(), reader: reader.clone(), paths, options, origin })
    }

    /// Why the examples cannot be read. What is no field may be a name that a reader gives which is not built yet, of
    /// which enough is said.
    pub(super) fn unread(&mut self) -> Vec<Diagnostic> {
        let mut unread = std::mem::take(&mut self.unread);
        if self.planned_reader {
            unread.retain(|one| one.code != "E0201");
        }
        unread
    }

    /// Notes why the examples cannot be read.
    pub(super) fn note_unread(&mut self, diagnostic: Diagnostic) {
        if !self.unread.contains(&diagnostic) {
            self.unread.push(diagnostic);
        }
    }

    fn no_reader<T>(&mut self, span: Span) -> Outcome<T> {
        let path = self.bundle.sources().slice(span).trim_matches('"');
        let reader = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv" | "tsv") => Some(format!("`csv(\"{path}\", columns=[\"..\"], label=\"..\")`")),
            Some("safetensors") => Some(format!("`safetensors(\"{path}\")`")),
            Some("txt") => Some(format!("`characters(\"{path}\")`")),
            _ => None,
        };
        let diagnostic = Diagnostic::error("E0204", "a source is a reader", span)
            .fact("such as `idx(\"images\")`")
            .help_maybe(reader.map(|reader| format!("write {reader}")));
        Err(self.report(diagnostic))
    }

    fn unknown_reader(&mut self, name: &str, span: Span) {
        if PLANNED.contains(&name) {
            let message = format!("no reader of this version reads `{name}`");
            let fact = "it belongs to the language and is not built yet";
            self.planned_reader = true;
            return self
                .note_unread(Diagnostic::error("E0508", message, span).fact(fact).help(other_forms()));
        }
        let diagnostic = Diagnostic::error("E0201", format!("unknown reader `{name}`"), span)
            .fact("not found")
            .note(format!("readers are {}", reader_names().join(", ")))
            .help_maybe(did_you_mean(name, reader_names()).or_else(|| reader_help(name)));
        self.note_unread(diagnostic);
    }

    /// Notes what is wrong with one option.
    fn check_option(
        &mut self,
        reader: Option<&Reader>,
        name: &Name,
        value: &Argument,
        span: Span,
        again: bool,
    ) {
        let Some(reader) = reader else { return };
        let text = &name.text;
        let diagnostic = match reader.option(text) {
            None if PLANNED_ARGUMENTS.contains(&(reader.name, text.as_str())) => {
                self.planned_reader = true;
                let message = format!("no reader of this version carries out `{text}` of `{}`", reader.name);
                Diagnostic::error("E0508", message, name.span)
                    .fact("it belongs to the language and is not built yet")
                    .help(other_forms())
            }
            None => {
                let similar = || did_you_mean(text, reader.options.iter().map(|option| option.name));
                let message = format!("`{}` has no argument `{text}`", reader.name);
                Diagnostic::error("E0202", message, name.span)
                    .fact("unknown argument")
                    .note(format!("it has: {}", reader.option_names()))
                    .help_maybe(option_of_reader(text).or_else(similar))
            }
            Some(option) if !option.takes.accepts(value) => {
                let message = format!("`{text}` is {}", option.takes.describe());
                Diagnostic::error("E0204", message, span).fact("this is not one")
            }
            Some(_) if again => {
                Diagnostic::error("E0212", format!("`{text}` is given twice"), name.span).fact("again here")
            }
            Some(_) => return,
        };
        self.note_unread(diagnostic);
    }

    /// Notes what is missing from a source as a whole.
    fn check_whole(
        &mut self,
        reader: &Reader,
        paths: &[String],
        options: &[(String, Argument)],
        fields: &[Field],
        span: Span,
    ) {
        let misnamed = options.iter().any(|(name, _)| reader.option(name).is_none());
        let required = |option: &&ReaderOption| option.required && !self.planned_reader && !misnamed;
        let missing: Vec<&ReaderOption> = reader.options.iter().filter(required).collect();
        for option in missing {
            if !options.iter().any(|(name, _)| name == option.name) {
                let message = format!("`{}` needs `{}`", reader.name, option.name);
                let fact = format!("`{}` is {}", option.name, option.takes.describe());
                let mut diagnostic = Diagnostic::error("E0203", message, span).fact(fact);
                if let (Some(path), "csv") = (paths.first(), reader.name) {
                    let label = fields.get(1).map(|field| format!(", label=\"{}\"", field.name));
                    let label = label.unwrap_or_default();
                    let names = match fields.first().map(|field| field.shape.iter().product::<usize>()) {
                        Some(1) => "\"..\"".to_owned(),
                        Some(count @ 2..=4) => format!("[{}]", vec!["\"..\""; count].join(", ")),
                        _ => "[\"..\", \"..\"]".to_owned(),
                    };
                    diagnostic = diagnostic.help(format!(
                        "the first field is fed from `columns`, a second from `label`: \
                         `csv(\"{path}\", columns={names}{label})`, with the names of the file's header"
                    ));
                }
                self.note_unread(diagnostic);
            }
        }
        if let Err(what) = reader.files.check(paths.len(), fields.len()) {
            let code = if paths.len() < fields.len().max(1) { "E0203" } else { "E0202" };
            let message = format!("`{}` is given the wrong number of files", reader.name);
            self.note_unread(Diagnostic::error(code, message, span).fact(what));
        }
    }

    fn reader_argument(&mut self, value: &Value<'a>, span: Span) -> Outcome<Argument> {
        match value {
            Value::Int(_) | Value::Float(_) => self.real(value, span).map(Argument::Number),
            Value::Bool(truth) => Ok(Argument::Bool(*truth)),
            Value::Text(text) => Ok(Argument::Text(text.clone())),
            Value::Range(low, high) => Ok(Argument::Range(*low, *high)),
            Value::List(values) => {
                let values: Outcome<Vec<Argument>> =
                    values.iter().map(|value| self.reader_argument(value, span)).collect();
                values.map(Argument::List)
            }
            other => {
                let found = other.describe();
                let message = "a reader takes numbers, strings and lists";
                self.fail("E0204", span, message, format!("this is {found}"))
            }
        }
    }
}

fn reader_names() -> [&'static str; READERS.len()] {
    READERS.map(|reader| reader.name)
}

/// What to do where a reader is not built yet.
fn other_forms() -> String {
    format!("bring the examples into one of the forms that are read: {}", reader_names().join(", "))
}
