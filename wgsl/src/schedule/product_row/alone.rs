//! A row that an invocation has for itself, for drivers on which barriers are dear: the values of its row lie in memory of
//! its own. The lanes of a subgroup load different elements of what is streamed past the rows, which reach all lanes by
//! broadcasts, because such a driver loads lane by lane. Loops over blocks end at a parameter: with a number in the text the
//! driver would unroll them, and compile each load and store of every turn.

use std::fmt::Write as _;

use super::frame::{Frame, Streamed};
use super::room::Room;
use super::{Closing, Opening, ProductRowSpec};
use crate::kernel::Schedule;
use crate::schedule::combine::{combine, initial};

/// The launch in which each invocation has a row, or, where the room says so, four.
pub(super) fn alone(spec: &ProductRowSpec, room: Room) -> Schedule {
    let (lanes, threads) = (room.lanes(), room.threads);
    let numbers = (0..lanes).map(|lane| format!("first + {}u + local.x", lane * threads)).collect();
    let mut kernel = Alone { frame: Frame::new(spec, lanes * threads, numbers), threads };
    let ty = kernel.frame.ty;
    for k in 0..kernel.frame.arrays() {
        let points = room.points(spec.length);
        let _ = writeln!(kernel.frame.body, "var value{k}: array<{ty}, {points}>;");
    }
    for (o, opening) in spec.openings.iter().enumerate() {
        kernel.open(o, opening);
    }
    for (s, step) in spec.steps.iter().enumerate() {
        let (mut inner, total) = (String::new(), format!("step{s}"));
        let value = &kernel.frame.evaluate(&step.expr, &mut inner)[0];
        let _ = writeln!(inner, "{total} = {};", combine(step.reduction, &total, value));
        let _ = writeln!(kernel.frame.body, "var {total} = {ty}({});", initial(step.reduction));
        kernel.each_point(&inner);
        kernel.frame.totals.push(total);
    }
    kernel.frame.write_rows("");
    if let Some(kept) = kernel.frame.kept() {
        kernel.each_point(&kept);
    }
    for (k, closing) in spec.closings.iter().enumerate() {
        kernel.close(k, closing);
    }
    kernel.frame.finish(format!("product row {lanes}x{threads} alone"), threads)
}

struct Alone<'a> {
    frame: Frame<'a>,
    /// Lanes of a subgroup, which is the workgroup; with 1 there are no broadcasts.
    threads: u32,
}

impl Alone<'_> {
    /// The loop over the points of a row.
    fn each_point(&mut self, inner: &str) {
        let _ =
            writeln!(self.frame.body, "for (var j = 0u; j < p.length; j += 1u) {{\nlet at = j;\n{inner}}}");
    }

    /// How many elements of a stream are there at once: whole loads of the subgroup.
    fn block(&self, extent: u32) -> u32 {
        extent.next_multiple_of(self.threads).min(self.threads.max(8) * 4)
    }

    /// Appends the loads of a block of a stream at point `j`, from place `{from}` on; those past its end repeat the last
    /// element, `{end} - 1`.
    fn fetch(&self, at: &Streamed<'_>, [from, end]: [&str; 2], block: u32, out: &mut String) {
        let _ = writeln!(out, "let origin = {};", at.origin(&self.frame.rows));
        for load in 0..block / self.threads {
            let place = format!("min({from} + {}u + local.x, {end} - 1u)", load * self.threads);
            let _ = writeln!(out, "let near{load} = {};", at.element("origin", &place));
        }
    }

    /// The text of one element of the block that was fetched, for all rows.
    fn fetched(&self, place: u32) -> String {
        let (load, lane) = (place / self.threads, place % self.threads);
        let element = match self.threads {
            1 => format!("near{load}"),
            _ => format!("subgroupBroadcast(near{load}, {lane}u)"),
        };
        format!("{}({element})", self.frame.ty)
    }

    /// Computes an opening product at each point, a block of its sum after the other.
    fn open(&mut self, o: usize, opening: &Opening) {
        let (ty, block) = (self.frame.ty, self.block(opening.depth));
        let depth = self.frame.source.param(&format!("depth{o}"), opening.depth);
        let together = self.frame.source.param(&format!("depth{o}_block"), block);
        let own = self.frame.of_rows(o, "min(begin + c, depth - 1u)");
        let at = Streamed::declare(&mut self.frame.source, format!("stream{o}"), &opening.stream);
        let mut inner = String::new();
        self.fetch(&at, ["begin", "depth"], block, &mut inner);
        let _ = writeln!(inner, "var dot = {ty}(0.0f);\nif (begin > 0u) {{ dot = value{o}[at]; }}");
        for c in 0..block {
            let _ = writeln!(inner, "dot = fma(side[{c}], {}, dot);", self.fetched(c));
        }
        let _ = writeln!(inner, "value{o}[at] = dot;");
        let _ = writeln!(
            self.frame.body,
            "{{\n\
             let depth = {depth};\n\
             var side: array<{ty}, {block}>;\n\
             for (var begin = 0u; begin < depth; begin += {block}u) {{\n\
             for (var c = 0u; c < {together}; c += 1u) {{\n\
             let own = {own};\n\
             side[c] = select({ty}(0.0f), own, begin + c < depth);\n\
             }}"
        );
        self.each_point(&inner);
        self.frame.body.push_str("}\n}\n");
    }

    /// A closing product, a block of its columns after the other.
    fn close(&mut self, k: usize, closing: &Closing) {
        let (ty, block) = (self.frame.ty, self.block(closing.columns));
        let columns = self.frame.source.param(&format!("columns{k}"), closing.columns);
        let together = self.frame.source.param(&format!("columns{k}_block"), block);
        let at = Streamed::declare(&mut self.frame.source, format!("close{k}"), &closing.stream);
        let output = self.frame.output(k);
        let mut inner = String::new();
        self.fetch(&at, ["n0", "columns"], block, &mut inner);
        let _ = writeln!(inner, "let weight = value{k}[at];");
        for n in 0..block {
            let _ = writeln!(inner, "sums[{n}] = fma(weight, {}, sums[{n}]);", self.fetched(n));
        }
        let _ = writeln!(
            self.frame.body,
            "{{\n\
             let columns = {columns};\n\
             for (var n0 = 0u; n0 < columns; n0 += {block}u) {{\n\
             var sums: array<{ty}, {block}>;\n\
             for (var i = 0u; i < {together}; i += 1u) {{ sums[i] = {ty}(0.0f); }}"
        );
        self.each_point(&inner);
        let _ = writeln!(
            self.frame.body,
            "for (var i = 0u; i < {together}; i += 1u) {{\nlet n = n0 + i;\nif (n < columns) {{"
        );
        self.frame.store(&output, "sums[i]", Some("n"));
        self.frame.body.push_str("}\n}\n}\n}\n");
    }
}
