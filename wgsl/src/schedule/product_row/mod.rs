//! Rows between products, in one launch: the values of a row are products of stored operands, are reduced and mapped,
//! and go into further products, and are kept in workgroup memory meanwhile.
//!
//! A workgroup has up to four rows side by side, which share what is streamed past them. Its invocations stride along the
//! rows; each keeps the points that it opened, until the last products spread columns over the invocations. Every sum has
//! one order: the same operands give the same bytes.

mod room;
mod side_by_side;
mod spec;

use std::fmt::Write as _;

use self::room::{Room, points, stash};
use self::side_by_side::{Loads, Rows};
pub use self::spec::{Closing, Factor, Opening, ProductRowSpec};
use super::address::Address;
use super::combine::{combine, initial};
use super::output::Output;
use super::source::{Shape, Source};
use super::space::coordinates;
use super::{Reduction, RowStep};
use crate::access::Write;
use crate::element::Element;
use crate::expr::Expr;
use crate::kernel::{Schedule, Slot};
use crate::print::{Width, statements};
use crate::profile::Profile;

/// Whether a workgroup has the memory for rows of `length` points between products of these depths and so many closing
/// ones.
#[must_use]
pub fn product_row_fits(length: usize, depths: &[usize], closings: usize, profile: &Profile) -> bool {
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX / 2);
    let depths: Vec<u32> = depths.iter().map(|&depth| word(depth)).collect();
    Room::choose(1, word(length), &depths, closings, profile).is_some()
}

/// The launch that computes `spec`.
///
/// # Panics
/// If not one row fits into the memory of a workgroup, which [`product_row_fits`] says.
#[must_use]
pub fn product_row(spec: &ProductRowSpec, profile: &Profile) -> Schedule {
    let depths: Vec<u32> = spec.openings.iter().map(|opening| opening.depth).collect();
    let room = Room::choose(spec.rows, spec.length, &depths, spec.closings.len(), profile);
    let room = room.expect("rows were found to fit before a kernel was made of them");
    let mut kernel = Kernel::new(spec, room);
    kernel.stash_rows();
    kernel.open();
    let mut totals: Vec<String> = Vec::new();
    for (s, step) in spec.steps.iter().enumerate() {
        kernel.reduce(step, s, &mut totals);
    }
    kernel.write_rows(&totals);
    if !spec.closings.is_empty() {
        kernel.keep_values(&totals);
        for k in 0..spec.closings.len() {
            kernel.close(k);
        }
    }
    let Kernel { source, body, groups, .. } = kernel;
    let shape = Shape { workgroup: [room.threads, 1], groups };
    let launch = source.launch(format!("product row {}x{}", room.lanes(), room.threads), &shape, &body);
    Schedule { launches: vec![launch], scratch: Vec::new() }
}

/// A kernel in the making.
struct Kernel<'a> {
    spec: &'a ProductRowSpec,
    room: Room,
    source: Source,
    body: String,
    rows: Rows,
    loads: Loads,
    groups: u32,
    /// The WGSL type of a value for all rows side by side.
    ty: &'static str,
}

impl<'a> Kernel<'a> {
    fn new(spec: &'a ProductRowSpec, room: Room) -> Kernel<'a> {
        let (mut source, mut body) = (Source::default(), String::new());
        let lanes = room.lanes();
        let tiles = spec.rows.div_ceil(lanes);
        let ty = if lanes == 1 { "f32" } else { "vec4<f32>" };
        source.param("rows", spec.rows);
        source.param("length", spec.length);
        let tile_count = source.param("tiles", tiles);
        let _ = writeln!(
            body,
            "let batch = group / {tile_count};\nlet first = (group - batch * {tile_count}) * {lanes}u;"
        );
        let batch = coordinates(&mut source, &spec.batch, "batch", "c", Width::One, &mut body);
        let lanes = (0..lanes).map(|lane| {
            let _ = writeln!(body, "let row{lane} = min(first + {lane}u, p.rows - 1u);");
            format!("row{lane}")
        });
        let rows = Rows { batch, lanes: lanes.collect() };
        for slot in 0..spec.factors {
            source.storage(Slot::Read(slot), &format!("f{slot}"), "f32");
        }
        for k in 0..spec.openings.len().max(spec.closings.len()) {
            source.declare(&format!("var<workgroup> value{k}: array<{ty}, {}>;\n", points(spec.length)));
        }
        source.declare(&format!("var<workgroup> partial: array<{ty}, {}>;\n", room.threads));
        let mut exprs: Vec<&Expr> = spec.steps.iter().map(|step| &step.expr).collect();
        exprs.extend([&spec.row_expr, &spec.values]);
        let extents = [spec.batch.as_slice(), &[spec.rows, spec.length]].concat();
        let places = [spec.factors, spec.openings.len()];
        let mut loads = Loads::declare(&mut source, &spec.reads, places, &extents, &exprs);
        loads.load_fixed(&rows, &mut body);
        let groups = spec.batch.iter().product::<u32>() * tiles;
        Kernel { spec, room, source, body, rows, loads, groups, ty }
    }

    /// Brings what belongs to the rows of each opening into workgroup memory.
    fn stash_rows(&mut self) {
        for (o, opening) in self.spec.openings.iter().enumerate() {
            let (name, ty) = (format!("side{o}"), self.ty);
            self.source.declare(&format!("var<workgroup> {name}: array<{ty}, {}>;\n", stash(opening.depth)));
            let depth = self.source.param(&format!("depth{o}"), opening.depth);
            let address = Address::declare(&mut self.source, &name, &opening.row.place);
            let of_lane = |lane: usize| {
                let mut coords = self.rows.at(lane, "0u");
                coords.push("c".to_owned());
                format!("f{}[{}]", opening.row.slot, address.at(&coords))
            };
            let lanes: Vec<String> = (0..self.rows.lanes.len()).map(of_lane).collect();
            let _ = writeln!(
                self.body,
                "for (var c = local.x; c < {depth}; c += {}u) {{\n{name}[c] = {ty}({});\n}}",
                self.room.threads,
                lanes.join(", ")
            );
        }
        self.body.push_str("workgroupBarrier();\n");
    }

    /// Computes the opening products at each point.
    fn open(&mut self) {
        let ty = self.ty;
        let mut inner = String::new();
        for (o, opening) in self.spec.openings.iter().enumerate() {
            let at = Streamed::declare(&mut self.source, &format!("stream{o}"), opening.stream.clone());
            let _ = writeln!(
                inner,
                "let from{o} = {};\n\
                 var dot{o} = {ty}(0.0f);\n\
                 for (var c = 0u; c < p.depth{o}; c += 1u) {{\n\
                 dot{o} = fma(side{o}[c], {ty}({}), dot{o});\n\
                 }}\n\
                 value{o}[j] = dot{o};",
                at.origin(&self.rows, "j"),
                at.element(&format!("from{o}"), "c"),
            );
        }
        self.each_point(&inner);
    }

    /// The loop of an invocation over its points.
    fn each_point(&mut self, inner: &str) {
        let _ = writeln!(
            self.body,
            "for (var j = local.x; j < p.length; j += {}u) {{\n{inner}}}",
            self.room.threads
        );
    }

    /// The texts of a formula's operands at point `j`.
    fn operands(&self, expr: &Expr, totals: &[String], out: &mut String) -> Vec<String> {
        let mut values = vec![String::new(); self.spec.openings.len()];
        for (o, value) in values.iter_mut().enumerate().filter(|(o, _)| expr.uses(*o)) {
            let _ = writeln!(out, "let d{o} = value{o}[j];");
            *value = format!("d{o}");
        }
        values.extend(self.loads.load(expr, &self.rows, "j", out));
        values.extend_from_slice(totals);
        values
    }

    /// Reduces along the rows, in a fixed order; the total is known to all invocations.
    fn reduce(&mut self, step: &RowStep, s: usize, totals: &mut Vec<String>) {
        let (ty, width, total) = (self.ty, self.rows.width(), format!("step{s}"));
        let mut inner = String::new();
        let values = self.operands(&step.expr, totals, &mut inner);
        let value = &statements(&step.expr, &values, width, "t", &mut inner)[0];
        let sum = combine(step.reduction, &format!("{total}_sum"), value);
        let _ = writeln!(inner, "{total}_sum = {sum};");
        let _ = writeln!(self.body, "var {total}_sum = {ty}({});", initial(step.reduction));
        self.each_point(&inner);
        let pair = combine(step.reduction, "partial[local.x]", "partial[local.x + half]");
        let _ = writeln!(
            self.body,
            "partial[local.x] = {total}_sum;\n\
             workgroupBarrier();\n\
             for (var half = {}u; half > 0u; half = half >> 1u) {{\n\
             if (local.x < half) {{ partial[local.x] = {pair}; }}\n\
             workgroupBarrier();\n\
             }}\n\
             let {total} = partial[0];\n\
             workgroupBarrier();",
            self.room.threads / 2
        );
        totals.push(total);
    }

    /// Stores the results with one element a row.
    fn write_rows(&mut self, totals: &[String]) {
        if self.spec.row_writes.is_empty() {
            return;
        }
        self.body.push_str("if (local.x == 0u) {\n");
        let mut values = vec![String::new(); self.spec.openings.len()];
        values.extend(self.loads.of_row());
        values.extend_from_slice(totals);
        let width = self.rows.width();
        let results = statements(&self.spec.row_expr, &values, width, "t", &mut self.body);
        for (k, (write, value)) in self.spec.row_writes.iter().zip(&results).enumerate() {
            let output =
                Output::declare(&mut self.source, &format!("w{k}"), write, Slot::Write(k), Width::One);
            self.store(&output, value, None);
        }
        self.body.push_str("}\n");
    }

    /// Stores a value of every row that there is, at a column if it has one.
    fn store(&mut self, output: &Output, value: &str, column: Option<&str>) {
        for lane in 0..self.rows.lanes.len() {
            let mut coords = self.rows.batch.clone();
            coords.push(self.rows.lanes[lane].clone());
            coords.extend(column.map(str::to_owned));
            let _ = writeln!(self.body, "if (first + {lane}u < p.rows) {{");
            output.store(&coords, Width::One, &self.rows.lane(value, lane), &mut self.body);
            self.body.push_str("}\n");
        }
    }

    /// Puts what the closing products take where the opening ones were.
    fn keep_values(&mut self, totals: &[String]) {
        let mut inner = String::new();
        let values = self.operands(&self.spec.values, totals, &mut inner);
        let results = statements(&self.spec.values, &values, self.rows.width(), "t", &mut inner);
        for (k, value) in results.iter().enumerate() {
            let _ = writeln!(inner, "value{k}[j] = {}({value});", self.ty);
        }
        self.each_point(&inner);
        self.body.push_str("workgroupBarrier();\n");
    }

    /// A closing product: columns lie over the invocations, and where there are fewer columns, slices of the sum too.
    fn close(&mut self, k: usize) {
        let closing = &self.spec.closings[k];
        let (ty, threads) = (self.ty, self.room.threads);
        let across = closing.columns.next_power_of_two().min(threads);
        let slices = threads / across;
        let columns = self.source.param(&format!("columns{k}"), closing.columns);
        let at = Streamed::declare(&mut self.source, &format!("close{k}"), closing.stream.clone());
        let write = Write { element: Element::F32, place: closing.write.clone() };
        let slot = Slot::Write(self.spec.row_writes.len() + k);
        let output = Output::declare(&mut self.source, &format!("o{k}"), &write, slot, Width::One);
        let _ = writeln!(
            self.body,
            "for (var n0 = 0u; n0 < {columns}; n0 += {across}u) {{\n\
             let n = n0 + local.x % {across}u;\n\
             let column = min(n, {columns} - 1u);\n\
             var sum = {ty}(0.0f);\n\
             for (var j = local.x / {across}u; j < p.length; j += {slices}u) {{\n\
             let begin = {};\n\
             sum = fma(value{k}[j], {ty}({}), sum);\n\
             }}",
            at.origin(&self.rows, "j"),
            at.element("begin", "column"),
        );
        if slices > 1 {
            let _ = writeln!(
                self.body,
                "partial[local.x] = sum;\n\
                 workgroupBarrier();\n\
                 if (local.x < {across}u) {{\n\
                 for (var slice = 1u; slice < {slices}u; slice += 1u) {{\n\
                 sum = {};\n\
                 }}\n\
                 }}\n\
                 workgroupBarrier();",
                combine(Reduction::Sum, "sum", &format!("partial[local.x + slice * {across}u]"))
            );
        }
        let _ = writeln!(self.body, "if (local.x < {across}u && n < {columns}) {{");
        self.store(&output, "sum", Some("n"));
        self.body.push_str("}\n}\n");
    }
}

/// An operand that is streamed past the rows.
struct Streamed {
    factor: Factor,
    address: Address,
    name: String,
}

impl Streamed {
    fn declare(source: &mut Source, name: &str, factor: Factor) -> Streamed {
        let address = Address::declare(source, name, &factor.place);
        Streamed { factor, address, name: name.to_owned() }
    }

    /// Where the elements of a point begin.
    fn origin(&self, rows: &Rows, point: &str) -> String {
        let mut coords = rows.at(0, point);
        coords.push("0u".to_owned());
        self.address.at(&coords)
    }

    /// The element at this place of the last axis, counted from the origin.
    fn element(&self, origin: &str, along: &str) -> String {
        let axis = self.factor.place.strides.len() - 1;
        let step = match self.factor.place.strides[axis] {
            0 => String::new(),
            1 => format!(" + {along}"),
            _ => format!(" + {along} * p.{}_stride{axis}", self.name),
        };
        format!("f{}[{origin}{step}]", self.factor.slot)
    }
}
