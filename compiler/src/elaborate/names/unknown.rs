//! Names that stand for nothing: what is probably meant.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::Expansion;
use crate::elaborate::bundle::{is_private, is_private_name, shelf_file_of};
use crate::elaborate::context::{Elaborator, Reported};
use crate::elaborate::elsewhere::{field_help, name_help};
use crate::elaborate::frame::Frame;
use crate::elaborate::intrinsic;
use crate::elaborate::lint::names_bound;
use crate::elaborate::names::item_name;
use crate::elaborate::value::Value;
use crate::source::Span;
use crate::syntax::ast::{self, DefinitionKind, Expr, ExprKind, ItemKind, Name, SettingKind};

impl<'a> Elaborator<'a> {
    /// Reports a name that stands for nothing, with what is probably meant; `what` is what it was looked up for.
    pub(super) fn unknown_name(&mut self, frame: &Frame<'a>, name: &str, span: Span, what: &str) -> Reported {
        self.unknown.insert(name.to_owned());
        let message = format!("unknown {what} `{name}`");
        let diagnostic = Diagnostic::error("E0201", message, span).fact("not found");
        if self.diagnostics.is_full() {
            return self.report(diagnostic);
        }
        let on_shelf = || {
            let file = shelf_file_of(name)?;
            let small = name.to_lowercase();
            let called = if small == name { String::new() } else { format!("here it is called `{small}`: ") };
            Some(format!("{called}write `use \"{file}\"` at the top of the file"))
        };
        if let Some(diagnostic) = self.private(frame, name, what, span) {
            return self.report(diagnostic);
        }
        let comment = || "a comment begins with `#`; `//` divides whole numbers".to_owned();
        let help = self.behind_slashes(span).then(comment);
        let help = help.or_else(|| self.state_for(frame, name)).or_else(|| self.augmented_alone(name));
        let help = help.or_else(|| name_help(name)).or_else(on_shelf).or_else(|| {
            let names = self.visible_names(frame, Wanted::of(what));
            did_you_mean(name, names.iter().map(String::as_str))
        });
        let help = help.or_else(|| self.named_in_settings(frame, what));
        let help = help.or_else(|| {
            let named = || format!("to give the value a name, write `{name} = ` before the chain");
            self.ends_a_chain(span).then(named)
        });
        self.report(diagnostic.help_maybe(help))
    }

    /// That `name` is private to the library, or to a file that is used.
    fn private(&self, frame: &Frame<'a>, name: &str, what: &str, span: Span) -> Option<Diagnostic> {
        let message = format!("unknown {what} `{name}`");
        let diagnostic = Diagnostic::error("E0201", message, span);
        let module = self.bundle.module(frame.module);
        let owner = module.uses.iter().find_map(|(_, used)| {
            let used = self.bundle.module(*used);
            let hidden = used.public_item(name).is_none().then(|| used.item(name)).flatten()?;
            Some((item_name(hidden)?.2, self.bundle.sources().source(used.file).path()))
        });
        if let Some((place, path)) = owner.filter(|(_, path)| !path.starts_with("std/")) {
            let diagnostic =
                diagnostic.fact(format!("it is private to `{path}`")).label(place, "defined here");
            return Some(diagnostic.help("take `@private` away there, or copy it"));
        }
        is_private_name(name).then(|| {
            let help = format!("copy it into this file: `nnc show --std {name}` prints it");
            diagnostic.fact("it is private to the library").help(help)
        })
    }

    /// The names that a loss or a metric can read.
    fn named_in_settings(&self, frame: &Frame<'a>, what: &str) -> Option<String> {
        const MOST: usize = 8;
        let names: Vec<&str> = frame.names.keys().map(String::as_str).take(MOST).collect();
        let settings = frame.owner.is_none() && what == "name" && !names.is_empty();
        settings.then(|| format!("known here are {}", names.join(", ")))
    }

    /// Whether what stands here is the rest of a line behind `//`, as comments elsewhere.
    fn behind_slashes(&self, span: Span) -> bool {
        let text = self.bundle.sources().source(span.file).text();
        let (before, after) = (text.get(..span.start as usize), text.get(span.end as usize..));
        let ends = after.and_then(|after| after.lines().next()).is_some_and(|line| line.trim().is_empty());
        ends && before.is_some_and(|before| before.trim_end_matches(' ').ends_with("//"))
    }

    /// Whether what stands here is the bare end of a chain, where other languages name a value.
    fn ends_a_chain(&self, span: Span) -> bool {
        let text = self.bundle.sources().source(span.file).text();
        let (before, after) = (text.get(..span.start as usize), text.get(span.end as usize..));
        let line = after.and_then(|after| after.lines().next());
        let goes_on = after.is_some_and(|after| after.trim_start().starts_with("->"));
        before.is_some_and(|before| before.trim_end().ends_with("->") && !begins_with_binding(before))
            && line.is_some_and(|line| line.trim().is_empty())
            && !goes_on
    }

    /// What to write where the body of an optimizer reads `name` before it binds it.
    fn state_for(&self, frame: &Frame<'a>, name: &str) -> Option<String> {
        let Some((DefinitionKind::Optimizer, owner)) = &frame.owner else { return None };
        let item = self.bundle.module(frame.module).item(owner);
        let Some(ItemKind::Definition(definition)) = item else { return None };
        names_bound(&definition.body)
            .contains(name)
            .then(|| format!("what is kept between steps is a state: write `state {name} = 0` before it"))
    }

    /// What to write where an evaluation reads `name`, which only `augment` binds.
    fn augmented_alone(&self, name: &str) -> Option<String> {
        let bound = |settings: &ast::Settings| {
            settings.entries.iter().any(|entry| match &entry.kind {
                SettingKind::Value { names, .. } => names.iter().any(|bound| bound.text == name),
                _ => false,
            })
        };
        let augmented = |item: &ast::Item| match &item.kind {
            ItemKind::Data(data) => data.settings.entries.iter().any(|entry| match &entry.kind {
                SettingKind::Group { name, settings, .. } => name.text == "augment" && bound(settings),
                _ => false,
            }),
            _ => false,
        };
        let found = self.expansion == Expansion::Evaluation && self.bundle.main().items.iter().any(augmented);
        found.then(|| format!("an evaluation augments nothing: bind `{name}` in `prepare` too"))
    }

    /// Reports a stage `a.b`, where no file is used as `a`.
    pub(in crate::elaborate) fn no_such_prefix(&mut self, frame: &Frame<'a>, path: &[Name]) -> Reported {
        let [.., owner, name] = path else { return Reported };
        let known = self.visible_names(frame, Wanted::Callable);
        let used = &self.bundle.module(frame.module).uses;
        let prefixes = used.iter().filter_map(|(prefix, _)| prefix.as_deref());
        let help = did_you_mean(&owner.text, prefixes).filter(|_| path.len() == 2);
        let help = help.or_else(|| name_help(&name.text));
        let help = help.or_else(|| {
            let here = field_help(&owner.text, &name.text, |name| known.iter().any(|known| known == name));
            here.filter(|help| !help.starts_with("a value goes"))
        });
        let help = help.or_else(|| {
            known.contains(&name.text).then(|| format!("without the prefix: `-> {}`", name.text))
        });
        let first = path.first().map_or(owner, |first| first);
        let mut used_as = used.iter().filter_map(|(prefix, _)| prefix.as_deref());
        if path.len() > 2 && used_as.any(|prefix| prefix == first.text) {
            let message = format!("`{}` does not pass on what it uses itself", first.text);
            let span = first.span.to(owner.span);
            let diagnostic = Diagnostic::error("E0201", message, span).fact("not a prefix of this file");
            let help =
                format!("use that file here too: `use \"{0}.nn\" as {0}`, `{0}.{1}`", owner.text, name.text);
            return self.report(diagnostic.help(help));
        }
        let message = format!("no file is used as `{}`", first.text);
        let diagnostic = Diagnostic::error("E0201", message, first.span).fact("not a prefix");
        self.report(diagnostic.help_maybe(help))
    }

    /// What is written in place of `owner.field`, where `owner` is no file that is used with a prefix.
    pub(in crate::elaborate) fn instead_of_field(&self, frame: &Frame<'a>, expr: &Expr) -> Option<String> {
        let ExprKind::Field(owner, field) = &expr.kind else { return None };
        let owner = match &owner.kind {
            ExprKind::Name(owner) => owner.as_str(),
            ExprKind::Field(_, last) => last.text.as_str(),
            _ => "x",
        };
        let names = self.visible_names(frame, Wanted::Callable);
        field_help(owner, &field.text, |name| names.iter().any(|known| known == name))
    }

    /// Every name that `frame` can see for what is `wanted`, for suggestions.
    fn visible_names(&self, frame: &Frame<'a>, wanted: Wanted) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let local = frame.names.iter().chain(&self.predeclared);
        names.extend(local.filter(|(_, value)| wanted.takes(value)).map(|(name, _)| name.clone()));
        let module = self.bundle.module(frame.module);
        let used = module.uses.iter().filter(|(prefix, _)| prefix.is_none()).map(|(_, used)| *used);
        for other in std::iter::once(frame.module).chain(used).chain(self.bundle.library_modules()) {
            for item in &self.bundle.module(other).ast.items {
                if let Some((name, kind, _)) = item_name(&item.kind)
                    && wanted.takes_item(kind)
                    && (other == frame.module || !is_private(item))
                {
                    names.push(name.clone());
                }
            }
        }
        if wanted != Wanted::Optimizer {
            names.extend(intrinsic::names().map(str::to_owned));
        }
        names.retain(|name| !self.unknown.contains(name));
        names.sort();
        names
    }
}

/// Whether the statement at whose end `text` stands, over all its lines that begin with an arrow, binds a name.
fn begins_with_binding(text: &str) -> bool {
    let mut lines = text.rsplit('\n').map(str::trim_start);
    let first = lines.find(|line| !line.starts_with("->")).unwrap_or(text);
    let first = first.rsplit(['{', ';']).next().unwrap_or(first).trim_start();
    let bound = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ',' | ' ');
    first.split_once('=').is_some_and(|(names, rest)| names.chars().all(bound) && !rest.starts_with('='))
}

/// What a name is looked up for: a suggestion is of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Callable,
    Optimizer,
    Value,
}

impl Wanted {
    /// What a message calls `what`.
    fn of(what: &str) -> Wanted {
        match what {
            "optimizer" => Wanted::Optimizer,
            "name" => Wanted::Value,
            _ => Wanted::Callable,
        }
    }

    fn takes(self, value: &Value<'_>) -> bool {
        match self {
            Wanted::Optimizer => false,
            Wanted::Callable => matches!(value, Value::Callable(_)),
            Wanted::Value => true,
        }
    }

    /// Whether it can be an item of this kind; a constant may be anything.
    fn takes_item(self, kind: Option<DefinitionKind>) -> bool {
        match kind {
            Some(DefinitionKind::Model) => false,
            Some(DefinitionKind::Optimizer) => self == Wanted::Optimizer,
            Some(DefinitionKind::Fn | DefinitionKind::Block) | None => self != Wanted::Optimizer,
        }
    }
}
