//! Which model of the file is expanded, and what is said about training it.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::model::Subject;
use crate::elaborate::{Bundle, Expansion, Request};
use crate::source::Span;
use crate::syntax::ast::{self, Definition, DefinitionKind, Item, ItemKind, SettingKind};

/// Finds the model and its `train` and `data`.
pub(super) fn subject<'a>(e: &mut Elaborator<'a>, request: &Request) -> Outcome<Subject<'a>> {
    let main = e.bundle.main_module();
    let bundle = e.bundle;
    for diagnostic in bundle.wrong_by_text() {
        e.report(diagnostic.clone());
    }
    let items = &bundle.module(main).ast.items;
    let start = Span::new(bundle.module(main).file, 0, 0);
    let trains = items.iter().enumerate().filter_map(|(place, item)| match &item.kind {
        ItemKind::Train(train) => Some((place, train)),
        _ => None,
    });
    let train =
        trains.rev().find(|(_, train)| request.model.as_ref().is_none_or(|name| train.model.text == *name));
    let wanted = match (&request.model, train) {
        (Some(name), _) => Some((name.clone(), start)),
        (None, Some((_, train))) => Some((train.model.text.clone(), train.model.span)),
        (None, None) => None,
    };
    let models: Vec<(&Item, &Definition, usize)> = definitions(bundle, main, DefinitionKind::Model);
    let found = match &wanted {
        Some((name, _)) => models.iter().find(|(_, model, _)| model.name.text == *name),
        None => models.iter().rev().find(|(.., module)| *module == main),
    };
    let Some((item, model, module)) = found.copied() else {
        let names = models.iter().map(|(_, model, _)| model.name.text.as_str());
        return match &wanted {
            Some((name, span)) => {
                let names: Vec<&str> = names.collect();
                let help = did_you_mean(name, names.iter().copied());
                let help =
                    help.or_else(|| (!names.is_empty()).then(|| format!("there is: {}", names.join(", "))));
                let message = format!("unknown model `{name}`");
                Err(e.report(Diagnostic::error("E0201", message, *span).fact("not found").help_maybe(help)))
            }
            None => e.fail("E0201", start, "this file has no model", "nothing to build"),
        };
    };
    let named = train.and_then(|(_, train)| train.data.as_ref());
    let data = match named {
        None => None,
        Some(name) => {
            let (data, module) = data_item(e, bundle, main, name)?;
            if request.expansion == Expansion::Training {
                has_training_part(e, data, name);
            }
            Some((data, module))
        }
    };
    Ok(Subject { item, model, module, train, data })
}

/// Refuses to train on data that names no source to train on.
fn has_training_part(e: &mut Elaborator<'_>, data: &ast::Data, name: &ast::Name) {
    let part = |setting: &ast::Setting| match &setting.kind {
        SettingKind::Value { names, .. } => names.iter().any(|name| name.text == "train"),
        SettingKind::Field { .. } | SettingKind::Group { .. } => false,
    };
    if !data.settings.entries.iter().any(part) {
        let message = format!("the data `{}` has no part `train`", name.text);
        let diagnostic = Diagnostic::error("E0404", message, name.span)
            .fact("there are no examples to train on")
            .label(data.name.span, "declared here")
            .help("say where they are: `train = csv(\"train.csv\", columns=[\"a\", \"b\"], label=\"c\")`");
        e.report(diagnostic);
    }
}

fn data_item<'a>(
    e: &mut Elaborator<'a>,
    bundle: &'a Bundle,
    main: usize,
    name: &ast::Name,
) -> Outcome<(&'a ast::Data, usize)> {
    let mut modules = vec![main];
    modules.extend(bundle.module(main).uses.iter().map(|(_, used)| *used));
    let mut names = Vec::new();
    for module in modules {
        for item in &bundle.module(module).ast.items {
            if let ItemKind::Data(data) = &item.kind {
                if data.name.text == name.text {
                    return Ok((data, module));
                }
                names.push(data.name.text.as_str());
            }
        }
    }
    let help = did_you_mean(&name.text, names);
    let message = format!("unknown data `{}`", name.text);
    Err(e.report(Diagnostic::error("E0201", message, name.span).fact("not found").help_maybe(help)))
}

/// Definitions of a kind in the main file and those it uses.
pub(in crate::elaborate) fn definitions(
    bundle: &Bundle,
    main: usize,
    kind: DefinitionKind,
) -> Vec<(&Item, &Definition, usize)> {
    let mut modules = vec![main];
    modules.extend(bundle.module(main).uses.iter().map(|(_, used)| *used));
    let mut out = Vec::new();
    for module in modules {
        for item in &bundle.module(module).ast.items {
            if let ItemKind::Definition(definition) = &item.kind
                && definition.kind == kind
            {
                out.push((item, definition, module));
            }
        }
    }
    out
}
