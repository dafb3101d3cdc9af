//! `scan row in x with h = a { ... }`: a walk along dim 1 that carries values, unrolled.

use crate::diagnostic::Diagnostic;
use crate::elaborate::context::{Elaborator, Outcome, Reported};
use crate::elaborate::dim::Dim;
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::{Concat, Slice};
use crate::source::Span;
use crate::syntax::ast::{Body, Name, Scan, StatementKind};

/// What a walk comes to.
struct Walked<'a> {
    /// The value of each step, in the order of what is walked along.
    rows: Vec<Tensor>,
    /// The last of each carried value.
    carried: Vec<Value<'a>>,
}

impl<'a> Elaborator<'a> {
    /// The values of all steps along dim 1, then the last carried values.
    pub(super) fn scan(&mut self, frame: &mut Frame<'a>, scan: &'a Scan, span: Span) -> Outcome<Value<'a>> {
        self.walks += 1;
        let result = self.walk(frame, scan, span);
        self.walks -= 1;
        result
    }

    fn walk(&mut self, frame: &mut Frame<'a>, scan: &'a Scan, span: Span) -> Outcome<Value<'a>> {
        let x = match self.expression(frame, &scan.over)?.first() {
            Value::Tensor(tensor) if tensor.rank() >= 2 => tensor,
            Value::Error => return Err(Reported),
            other => {
                let found = other.describe();
                let place = scan.over.span;
                return self.fail(
                    "E0303",
                    place,
                    "`scan` walks along dim 1 of a tensor",
                    format!("found {found}"),
                );
            }
        };
        let steps = x.dims[1].size();
        self.spend(steps, span)?;
        let brace = frame.open_brace();
        self.weights.begin_walk();
        let walked = self.steps(frame, scan, &x, span);
        self.weights.end_walk();
        frame.close_brace(brace);
        let Walked { rows, carried } = walked?;
        self.mark(span);
        let Some(first) = rows.first() else {
            return self.fail("E0303", scan.over.span, "`scan` walks along an empty dim", x.show());
        };
        let mut dims = first.dims.clone();
        dims.insert(1, Dim::constant(1));
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let mut nodes = Vec::with_capacity(rows.len());
        for row in &rows {
            nodes.push(self.graph.reshape(row.node, &shape));
        }
        let node = if nodes.len() == 1 { nodes[0] } else { self.graph.must(Concat::new(1), &nodes) };
        dims[1] = x.dims[1].clone();
        let mut outputs = vec![Value::Tensor(self.tensor(node, dims))];
        outputs.extend(carried);
        Ok(Value::Outputs(outputs))
    }

    /// Runs the body for every step of `x`. What it binds ends with its step, but for the carried values.
    fn steps(
        &mut self,
        frame: &mut Frame<'a>,
        scan: &'a Scan,
        x: &Tensor,
        span: Span,
    ) -> Outcome<Walked<'a>> {
        let mut carried = Vec::with_capacity(scan.carried.len());
        for (name, begin) in &scan.carried {
            let value = self.expression(frame, begin)?.first();
            frame.bind(&name.text, value.clone());
            carried.push(value);
        }
        let steps = x.dims[1].size();
        let mut rows: Vec<Option<Tensor>> = vec![None; steps];
        let mut first = None;
        for turn in 0..steps {
            let place = if scan.reverse { steps - 1 - turn } else { turn };
            let row = self.row(x, place, span);
            if turn > 0 {
                self.weights.next_step();
            }
            let brace = frame.open_brace();
            frame.bind(&scan.row.text, Value::Tensor(row));
            for ((name, _), value) in scan.carried.iter().zip(&carried) {
                frame.bind(&name.text, value.clone());
            }
            let result = self.body(frame, &scan.body);
            let after: Vec<Value<'a>> = scan
                .carried
                .iter()
                .map(|(name, _)| frame.names.get(&name.text).cloned().unwrap_or(Value::Error))
                .collect();
            frame.close_brace(brace);
            match result?.first() {
                Value::Error => return Err(Reported),
                Value::Tensor(tensor) => {
                    if turn == 0 {
                        first = Some(tensor.clone());
                    }
                    self.same_step(first.as_ref(), &tensor, scan.body.span)?;
                    rows[place] = Some(tensor);
                }
                other => {
                    let found = other.describe();
                    return self.fail(
                        "E0204",
                        scan.body.span,
                        "a step of `scan` is a tensor",
                        format!("found {found}"),
                    );
                }
            }
            for ((name, _), (before, after)) in scan.carried.iter().zip(carried.iter().zip(&after)) {
                self.same_carried(scan, name, before, after)?;
            }
            carried = after;
        }
        Ok(Walked { rows: rows.into_iter().flatten().collect(), carried })
    }

    /// A carried tensor keeps its type from step to step. A number may become a tensor, to which it spreads.
    fn same_carried(
        &mut self,
        scan: &'a Scan,
        name: &'a Name,
        before: &Value<'a>,
        after: &Value<'a>,
    ) -> Outcome<()> {
        let same = match (before, after) {
            (Value::Tensor(before), Value::Tensor(after)) => {
                before.dims == after.dims && before.element == after.element
            }
            (Value::Tensor(_), _) => false,
            _ => true,
        };
        if same {
            return Ok(());
        }
        let text = &name.text;
        let message = format!(
            "`{text}` is {} before a step of `scan` and {} behind it",
            before.describe(),
            after.describe()
        );
        let place = bound_last(&scan.body, text).unwrap_or(name.span);
        let diagnostic = Diagnostic::error("E0302", message, place)
            .fact("a carried value keeps its shape")
            .label(name.span, format!("it begins as {}", before.describe()));
        Err(self.report(diagnostic))
    }

    /// Steps have a dim, behind which they are laid side by side, and one type on every turn.
    fn same_step(&mut self, first: Option<&Tensor>, step: &Tensor, body: Span) -> Outcome<()> {
        let place = step.made.as_ref().map_or(body, |made| self.visible(made.0));
        if step.rank() == 0 {
            let message = "a step of `scan` needs a dim to be laid along";
            return self.fail("E0303", place, message, format!("found {}", step.show()));
        }
        let Some(first) = first else { return Ok(()) };
        if first.dims == step.dims && first.element == step.element {
            return Ok(());
        }
        let message =
            format!("a step of `scan` is {} on the first turn and {} later", first.show(), step.show());
        self.fail("E0302", place, message, "every step needs the same shape")
    }

    /// Step `place` of dim 1, without that dim.
    fn row(&mut self, x: &Tensor, place: usize, span: Span) -> Tensor {
        self.mark(span);
        let mut start = vec![0; x.rank()];
        start[1] = place;
        let mut extent = x.shape();
        extent[1] = 1;
        let node = self.graph.must(Slice::new(&start, &extent, &vec![1; x.rank()]), &[x.node]);
        let mut dims = x.dims.clone();
        dims.remove(1);
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = self.graph.reshape(node, &shape);
        Tensor { node, dims, range: None, ..x.clone() }
    }
}

/// Where the last statement of `body` that binds `name` does so.
fn bound_last(body: &Body, name: &str) -> Option<Span> {
    body.statements.iter().rev().find_map(|statement| match &statement.kind {
        StatementKind::Bind { targets, .. } => {
            targets.iter().find(|target| target.name.text == name).map(|target| target.name.span)
        }
        _ => None,
    })
}
