//! The operands of formulas for rows that lie side by side: what differs between the rows is loaded for each of them.

use crate::access::{Place, Read};
use crate::expr::Expr;
use crate::print::Width;
use crate::schedule::operand::Operand;
use crate::schedule::origin::Origin;
use crate::schedule::source::{LANES, Source};

/// The texts of the coordinates that a workgroup stands at.
pub(super) struct Rows {
    /// One for each axis of the batch.
    pub(super) batch: Vec<String>,
    /// The row of each lane; those past the last row repeat it.
    pub(super) lanes: Vec<String>,
}

impl Rows {
    /// The coordinates of a point of a lane's row.
    pub(super) fn at(&self, lane: usize, point: &str) -> Vec<String> {
        let mut coords = self.batch.clone();
        coords.extend([self.lanes[lane].clone(), point.to_owned()]);
        coords
    }

    /// The width of a formula over all lanes.
    pub(super) fn width(&self) -> Width {
        if self.lanes.len() == 1 { Width::One } else { Width::Four }
    }

    /// The text of one lane of a value.
    pub(super) fn lane(&self, value: &str, lane: usize) -> String {
        match self.width() {
            Width::One => value.to_owned(),
            Width::Four => format!("({value}).{}", LANES[lane]),
        }
    }
}

/// The reads of a specification in a kernel's body.
pub(super) struct Loads {
    operands: Vec<Option<Load>>,
    /// The texts of what is the same along a row.
    known: Vec<String>,
    /// Operands of the formulas before these reads.
    before: usize,
}

struct Load {
    operand: Operand,
    /// Whether the rows of a batch have values of their own.
    per_row: bool,
    /// Whether it is the same along a row.
    fixed: bool,
}

impl Loads {
    /// Declares the reads that some of `exprs` uses; `slot` is that of the first, `before` its place among the operands.
    pub(super) fn declare(
        source: &mut Source,
        reads: &[Read],
        [slot, before]: [usize; 2],
        extents: &[u32],
        exprs: &[&Expr],
    ) -> Loads {
        let load = |(k, read): (usize, &Read)| {
            if !exprs.iter().any(|expr| expr.uses(before + k)) {
                return None;
            }
            let origin = Origin::Read(read.clone(), slot + k);
            let padded = matches!(read, Read::Padded { .. });
            let varies = |axis: usize| {
                padded || origin.place().is_some_and(|Place { strides, .. }| strides[axis] != 0)
            };
            let (per_row, fixed) = (varies(extents.len() - 2), !varies(extents.len() - 1));
            let operand = Operand::declare(source, &format!("r{k}"), &origin, extents, Width::One);
            Some(Load { operand, per_row, fixed })
        };
        let operands: Vec<Option<Load>> = reads.iter().enumerate().map(load).collect();
        Loads { known: vec![String::new(); operands.len()], operands, before }
    }

    /// Loads what is the same along a row.
    pub(super) fn load_fixed(&mut self, rows: &Rows, out: &mut String) {
        for (load, known) in self.operands.iter().zip(&mut self.known) {
            if let Some(load) = load.as_ref().filter(|load| load.fixed) {
                *known = load.at(rows, "0u", out);
            }
        }
    }

    /// Loads the rest of what `expr` uses at a point; the texts of all reads.
    pub(super) fn load(&self, expr: &Expr, rows: &Rows, point: &str, out: &mut String) -> Vec<String> {
        let mut values = self.known.clone();
        for (k, load) in self.operands.iter().enumerate() {
            if let Some(load) = load.as_ref().filter(|load| !load.fixed && expr.uses(self.before + k)) {
                values[k] = load.at(rows, point, out);
            }
        }
        values
    }

    /// The texts of what is the same along a row.
    pub(super) fn of_row(&self) -> Vec<String> {
        self.known.clone()
    }
}

impl Load {
    fn at(&self, rows: &Rows, point: &str, out: &mut String) -> String {
        let scalar = self.operand.scalar();
        if rows.lanes.len() == 1 {
            return self.operand.load(&rows.at(0, point), Width::One, "", out);
        }
        if !self.per_row {
            let one = self.operand.load(&rows.at(0, point), Width::One, "", out);
            return format!("vec4<{scalar}>({one})");
        }
        let lanes: Vec<String> = LANES
            .iter()
            .enumerate()
            .map(|(lane, unique)| self.operand.load(&rows.at(lane, point), Width::One, unique, out))
            .collect();
        format!("vec4<{scalar}>({})", lanes.join(", "))
    }
}
