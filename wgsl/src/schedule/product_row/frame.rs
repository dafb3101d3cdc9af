//! What both ways of computing rows between products share: where the rows are, the operands of formulas, and stores.

use std::fmt::Write as _;

use super::side_by_side::{Loads, Rows};
use super::{Factor, ProductRowSpec};
use crate::expr::Expr;
use crate::kernel::{Schedule, Slot};
use crate::print::{Width, statements};
use crate::schedule::address::Address;
use crate::schedule::output::Output;
use crate::schedule::source::{Shape, Source};
use crate::schedule::space::coordinates;
use crate::schedule::stored::stored;

/// A kernel in the making. Its values at point number `at` lie in `value{k}[at]`, those of the openings first and in
/// their place those that the closings take.
pub(super) struct Frame<'a> {
    pub(super) spec: &'a ProductRowSpec,
    pub(super) source: Source,
    pub(super) body: String,
    pub(super) rows: Rows,
    /// The WGSL type of a value for all rows side by side.
    pub(super) ty: &'static str,
    /// The totals of the steps so far.
    pub(super) totals: Vec<String>,
    /// The numbers of the rows side by side, which may be past the last.
    numbers: Vec<String>,
    loads: Loads,
    groups: u32,
}

impl<'a> Frame<'a> {
    /// A kernel whose workgroups have `tile` rows of one batch each; an invocation has those of these numbers, counted
    /// from `first`.
    pub(super) fn new(spec: &'a ProductRowSpec, tile: u32, numbers: Vec<String>) -> Frame<'a> {
        let (mut source, mut body) = (Source::default(), String::new());
        let tiles = spec.rows.div_ceil(tile);
        source.param("rows", spec.rows);
        source.param("length", spec.length);
        let tile_count = source.param("tiles", tiles);
        let _ = writeln!(
            body,
            "let batch = group / {tile_count};\nlet first = (group - batch * {tile_count}) * {tile}u;"
        );
        let batch = coordinates(&mut source, &spec.batch, "batch", "c", Width::One, &mut body);
        let lanes = numbers.iter().enumerate().map(|(lane, number)| {
            let _ = writeln!(body, "let row{lane} = min({number}, p.rows - 1u);");
            format!("row{lane}")
        });
        let rows = Rows { batch, lanes: lanes.collect() };
        for (slot, element) in spec.factors.iter().enumerate() {
            source.storage(Slot::Read(slot), &format!("f{slot}"), stored(*element, false));
        }
        let mut exprs: Vec<&Expr> = spec.steps.iter().map(|step| &step.expr).collect();
        exprs.extend([&spec.row_expr, &spec.values]);
        let extents = [spec.batch.as_slice(), &[spec.rows, spec.length]].concat();
        let places = [spec.factors.len(), spec.openings.len()];
        let mut loads = Loads::declare(&mut source, &spec.reads, places, &extents, &exprs);
        loads.load_fixed(&rows, &mut body);
        let groups = spec.batch.iter().product::<u32>() * tiles;
        let ty = if numbers.len() == 1 { "f32" } else { "vec4<f32>" };
        Frame { spec, source, body, rows, ty, totals: Vec::new(), numbers, loads, groups }
    }

    /// How many arrays of values there are.
    pub(super) fn arrays(&self) -> usize {
        self.spec.openings.len().max(self.spec.closings.len())
    }

    /// Appends the results of a formula at point `j`; their texts.
    pub(super) fn evaluate(&self, expr: &Expr, out: &mut String) -> Vec<String> {
        let mut operands = vec![String::new(); self.spec.openings.len()];
        for (o, operand) in operands.iter_mut().enumerate().filter(|(o, _)| expr.uses(*o)) {
            let _ = writeln!(out, "let d{o} = value{o}[at];");
            *operand = format!("d{o}");
        }
        operands.extend(self.loads.load(expr, &self.rows, "j", out));
        operands.extend_from_slice(&self.totals);
        statements(expr, &operands, self.rows.width(), "t", out)
    }

    /// What puts the values at a point that the closing products take where the opening ones were, if any close the row.
    pub(super) fn kept(&self) -> Option<String> {
        if self.spec.closings.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (k, value) in self.evaluate(&self.spec.values, &mut text).iter().enumerate() {
            let _ = writeln!(text, "value{k}[at] = {}({value});", self.ty);
        }
        Some(text)
    }

    /// Stores the results with one element a row, in the invocations of which `guard` is true.
    pub(super) fn write_rows(&mut self, guard: &str) {
        if self.spec.row_writes.is_empty() {
            return;
        }
        let _ = writeln!(self.body, "{guard}{{");
        let mut operands = vec![String::new(); self.spec.openings.len()];
        operands.extend(self.loads.of_row());
        operands.extend_from_slice(&self.totals);
        let width = self.rows.width();
        let results = statements(&self.spec.row_expr, &operands, width, "t", &mut self.body);
        for (k, (write, value)) in self.spec.row_writes.iter().zip(&results).enumerate() {
            let output =
                Output::declare(&mut self.source, &format!("w{k}"), write, Slot::Write(k), Width::One);
            self.store(&output, value, None);
        }
        self.body.push_str("}\n");
    }

    /// The result of a closing product, ready to be stored.
    pub(super) fn output(&mut self, k: usize) -> Output {
        let spec = self.spec;
        let slot = Slot::Write(self.spec.row_writes.len() + k);
        Output::declare(&mut self.source, &format!("o{k}"), &spec.closings[k].write, slot, Width::One)
    }

    /// Stores a value of every row that there is, at a column if it has one.
    pub(super) fn store(&mut self, output: &Output, value: &str, column: Option<&str>) {
        for (lane, number) in self.numbers.iter().enumerate() {
            let mut coords = self.rows.batch.clone();
            coords.push(self.rows.lanes[lane].clone());
            coords.extend(column.map(str::to_owned));
            let _ = writeln!(self.body, "if ({number} < p.rows) {{");
            output.store(&coords, Width::One, &self.rows.lane(value, lane), &mut self.body);
            self.body.push_str("}\n");
        }
    }

    /// The text of an element of what belongs to an opening's rows, for all of them.
    pub(super) fn of_rows(&mut self, o: usize, along: &str) -> String {
        let factor = &self.spec.openings[o].row;
        let address = Address::declare(&mut self.source, &format!("side{o}"), &factor.place);
        let of_lane = |lane: usize| {
            let mut coords = self.rows.at(lane, "0u");
            coords.push(along.to_owned());
            format!("f{}[{}]", factor.slot, address.at(&coords))
        };
        let lanes: Vec<String> = (0..self.rows.lanes.len()).map(of_lane).collect();
        format!("{}({})", self.ty, lanes.join(", "))
    }

    /// The schedule of one launch.
    pub(super) fn finish(self, name: String, threads: u32) -> Schedule {
        let shape = Shape { workgroup: [threads, 1], groups: self.groups };
        let launch = self.source.launch(name, &shape, &self.body);
        Schedule { launches: vec![launch], scratch: Vec::new() }
    }
}

/// An operand that is streamed past the rows.
pub(super) struct Streamed<'a> {
    factor: &'a Factor,
    address: Address,
    name: String,
}

impl<'a> Streamed<'a> {
    pub(super) fn declare(source: &mut Source, name: String, factor: &'a Factor) -> Streamed<'a> {
        let address = Address::declare(source, &name, &factor.place);
        Streamed { factor, address, name }
    }

    /// Where the elements of point `j` begin.
    pub(super) fn origin(&self, rows: &Rows) -> String {
        let mut coords = rows.at(0, "j");
        coords.push("0u".to_owned());
        self.address.at(&coords)
    }

    /// The element at this place of the last axis, counted from the origin.
    pub(super) fn element(&self, origin: &str, along: &str) -> String {
        let axis = self.factor.place.strides.len() - 1;
        let step = match self.factor.place.strides[axis] {
            0 => String::new(),
            1 => format!(" + {along}"),
            _ => format!(" + ({along}) * p.{}_stride{axis}", self.name),
        };
        format!("f{}[{origin}{step}]", self.factor.slot)
    }
}
