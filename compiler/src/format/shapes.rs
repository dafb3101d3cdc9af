//! Checked shapes, written into the text.

use crate::source::{Source, Span};
use crate::syntax::ast::{Expr, ExprKind, File, Item, ItemKind, Pipeline, Stage, StatementKind};

/// The text of `source` with the shape behind every stage that ends a line of a broken pipeline of the model `model`,
/// where `shapes` knows one for it and none is written. `shapes` are stages by their spans.
#[must_use]
pub fn with_shapes(source: &Source, file: &File, model: &str, shapes: &[(Span, String)]) -> String {
    let mut places: Vec<(usize, String)> = Vec::new();
    for item in &file.items {
        for pipeline in pipelines(item, model) {
            for (order, stage) in pipeline.stages.iter().enumerate() {
                let end = stage.label.as_ref().map_or(stage.span, |label| label.span).end as usize;
                let ends_line = pipeline.stages.get(order + 1).is_none_or(|next| breaks(source, end, next));
                let shape = only(shapes, stage.span);
                if let Some(shape) =
                    shape.filter(|_| ends_line && stage.ty.is_none() && is_broken(source, pipeline))
                {
                    places.push((end, format!(": {shape}")));
                }
            }
        }
    }
    let mut text = source.text().to_owned();
    places.sort();
    for (place, shape) in places.iter().rev() {
        text.insert_str(*place, shape);
    }
    text
}

/// The pipelines that are statements of the model's body, or what they bind.
fn pipelines<'a>(item: &'a Item, model: &str) -> Vec<&'a Pipeline> {
    let ItemKind::Definition(definition) = &item.kind else { return Vec::new() };
    if definition.name.text != model {
        return Vec::new();
    }
    let values = definition.body.statements.iter().flat_map(|statement| match &statement.kind {
        StatementKind::Bind { values, .. } | StatementKind::Value(values) => values.as_slice(),
        _ => &[],
    });
    let pipeline = |value: &'a Expr| match &value.kind {
        ExprKind::Pipeline(pipeline) => Some(pipeline.as_ref()),
        _ => None,
    };
    values.filter_map(pipeline).collect()
}

/// Whether a stage of `pipeline` begins a line.
fn is_broken(source: &Source, pipeline: &Pipeline) -> bool {
    let first =
        pipeline.stages.first().is_some_and(|first| breaks(source, pipeline.source.span.end as usize, first));
    let ends = pipeline.stages.windows(2).any(|pair| breaks(source, pair[0].span.end as usize, &pair[1]));
    first || ends
}

/// Whether the line breaks between byte `end` and the stage behind it.
fn breaks(source: &Source, end: usize, next: &Stage) -> bool {
    source.text().get(end..next.span.start as usize).is_some_and(|between| between.contains('\n'))
}

/// The shape of the stage at `span`, if it has one only.
fn only(shapes: &[(Span, String)], span: Span) -> Option<&str> {
    let mut found = shapes.iter().filter(|(place, _)| *place == span).map(|(_, shape)| shape.as_str());
    let first = found.next()?;
    found.all(|shape| shape == first).then_some(first)
}
