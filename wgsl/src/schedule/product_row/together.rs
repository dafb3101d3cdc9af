//! Rows whose values a workgroup keeps in its memory: its invocations stride along the rows, each with the points that it
//! opened, until the closing products spread columns over them, and where there are fewer columns, slices of the sum too.

use std::fmt::Write as _;

use super::frame::{Frame, Streamed};
use super::room::{Room, stash};
use super::{Closing, ProductRowSpec};
use crate::kernel::Schedule;
use crate::schedule::combine::{combine, combine_workgroup, initial};
use crate::schedule::{Reduction, RowStep};

/// The launch in which each workgroup has one row, or four.
pub(super) fn together(spec: &ProductRowSpec, room: Room) -> Schedule {
    let lanes = room.lanes();
    let numbers = (0..lanes).map(|lane| format!("first + {lane}u")).collect();
    let mut kernel = Together { frame: Frame::new(spec, lanes, numbers), threads: room.threads };
    kernel.declare(room);
    kernel.stash_rows();
    kernel.open();
    for (s, step) in spec.steps.iter().enumerate() {
        kernel.reduce(step, s);
    }
    kernel.frame.write_rows("if (local.x == 0u) ");
    if let Some(kept) = kernel.frame.kept() {
        kernel.each_point(&kept);
        kernel.frame.body.push_str("workgroupBarrier();\n");
    }
    for (k, closing) in spec.closings.iter().enumerate() {
        kernel.close(k, closing);
    }
    kernel.frame.finish(format!("product row {lanes}x{}", room.threads), room.threads)
}

struct Together<'a> {
    frame: Frame<'a>,
    threads: u32,
}

impl Together<'_> {
    fn declare(&mut self, room: Room) {
        let Frame { spec, ty, .. } = self.frame;
        let points = room.points(spec.length);
        for k in 0..self.frame.arrays() {
            self.frame.source.declare(&format!("var<workgroup> value{k}: array<{ty}, {points}>;\n"));
        }
        for (o, opening) in spec.openings.iter().enumerate() {
            let terms = stash(opening.depth);
            self.frame.source.declare(&format!("var<workgroup> side{o}: array<{ty}, {terms}>;\n"));
        }
        self.frame.source.declare(&format!("var<workgroup> partial: array<{ty}, {}>;\n", self.threads));
    }

    /// Brings what belongs to the rows of each opening into workgroup memory.
    fn stash_rows(&mut self) {
        for (o, opening) in self.frame.spec.openings.iter().enumerate() {
            let depth = self.frame.source.param(&format!("depth{o}"), opening.depth);
            let element = self.frame.of_rows(o, "c");
            let _ = writeln!(
                self.frame.body,
                "for (var c = local.x; c < {depth}; c += {}u) {{\nside{o}[c] = {element};\n}}",
                self.threads
            );
        }
        self.frame.body.push_str("workgroupBarrier();\n");
    }

    /// Computes the opening products at each point.
    fn open(&mut self) {
        let ty = self.frame.ty;
        let mut inner = String::new();
        for (o, opening) in self.frame.spec.openings.iter().enumerate() {
            let at = Streamed::declare(&mut self.frame.source, format!("stream{o}"), &opening.stream);
            let _ = writeln!(
                inner,
                "let origin{o} = {};\n\
                 var dot{o} = {ty}(0.0f);\n\
                 for (var c = 0u; c < p.depth{o}; c += 1u) {{\n\
                 dot{o} = fma(side{o}[c], {ty}({}), dot{o});\n\
                 }}\n\
                 value{o}[at] = dot{o};",
                at.origin(&self.frame.rows),
                at.element(&format!("origin{o}"), "c"),
            );
        }
        self.each_point(&inner);
    }

    /// The loop of an invocation over its points: `at`, and `j`, which repeats the last one past the end of the row.
    fn each_point(&mut self, inner: &str) {
        let _ = writeln!(
            self.frame.body,
            "for (var j0 = 0u; j0 < p.length; j0 += {}u) {{\n\
             let at = j0 + local.x;\n\
             let j = min(at, p.length - 1u);\n\
             {inner}}}",
            self.threads
        );
    }

    /// Reduces along the rows, in a fixed order; the total is known to all invocations.
    fn reduce(&mut self, step: &RowStep, s: usize) {
        let (reduction, total) = (step.reduction, format!("step{s}"));
        let mut inner = String::new();
        let value = &self.frame.evaluate(&step.expr, &mut inner)[0];
        let sum = combine(reduction, &format!("{total}_sum"), value);
        let _ = writeln!(inner, "if (at < p.length) {{ {total}_sum = {sum}; }}");
        let _ = writeln!(self.frame.body, "var {total}_sum = {}({});", self.frame.ty, initial(reduction));
        self.each_point(&inner);
        combine_workgroup(reduction, self.threads, &total, &mut self.frame.body);
        self.frame.totals.push(total);
    }

    fn close(&mut self, k: usize, closing: &Closing) {
        let ty = self.frame.ty;
        let across = closing.columns.next_power_of_two().min(self.threads);
        let slices = self.threads / across;
        let columns = self.frame.source.param(&format!("columns{k}"), closing.columns);
        let at = Streamed::declare(&mut self.frame.source, format!("close{k}"), &closing.stream);
        let output = self.frame.output(k);
        let _ = writeln!(
            self.frame.body,
            "for (var n0 = 0u; n0 < {columns}; n0 += {across}u) {{\n\
             let n = n0 + local.x % {across}u;\n\
             let column = min(n, {columns} - 1u);\n\
             var sum = {ty}(0.0f);\n\
             for (var j = local.x / {across}u; j < p.length; j += {slices}u) {{\n\
             let origin = {};\n\
             sum = fma(value{k}[j], {ty}({}), sum);\n\
             }}",
            at.origin(&self.frame.rows),
            at.element("origin", "column"),
        );
        if slices > 1 {
            let part = format!("partial[local.x + slice * {across}u]");
            let _ = writeln!(
                self.frame.body,
                "partial[local.x] = sum;\n\
                 workgroupBarrier();\n\
                 if (local.x < {across}u) {{\n\
                 for (var slice = 1u; slice < {slices}u; slice += 1u) {{\n\
                 sum = {};\n\
                 }}\n\
                 }}\n\
                 workgroupBarrier();",
                combine(Reduction::Sum, "sum", &part)
            );
        }
        let _ = writeln!(self.frame.body, "if (local.x < {across}u && n < {columns}) {{");
        self.frame.store(&output, "sum", Some("n"));
        self.frame.body.push_str("}\n}\n");
    }
}
