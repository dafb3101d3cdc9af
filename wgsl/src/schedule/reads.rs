//! The operands of a reduction: those that are the same for a whole row are loaded once before its loops,
//! the others at each point.

use super::RowSpec;
use super::operand::Operand;
use super::origin::Origin;
use super::source::Source;
use super::space::Space;
use crate::access::{Place, Read, Write};
use crate::expr::Expr;
use crate::print::Width;

/// The reads of a [`RowSpec`] in a kernel's body.
pub(crate) struct Reads {
    operands: Vec<Option<Operand>>,
    fixed: Vec<bool>,
    values: Vec<String>,
}

/// The space of a specification, coalesced, with all its writes (rows' first), and its number of kept axes.
pub(crate) fn row_space(spec: &RowSpec) -> (Space, usize) {
    let reduced = spec.reduced.len();
    let origins =
        spec.reads.iter().enumerate().map(|(slot, read)| Origin::Read(read.clone(), slot)).collect();
    let rows = spec.row_writes.iter().map(|write| {
        let mut strides = write.place.strides.clone();
        strides.extend(std::iter::repeat_n(0, reduced));
        Write { element: write.element, place: Place { offset: write.place.offset, strides } }
    });
    let extents = [spec.kept.as_slice(), spec.reduced.as_slice()].concat();
    let writes = rows.chain(spec.element_writes.iter().cloned()).collect();
    Space { extents, origins, writes }.coalesce(spec.kept.len())
}

impl Reads {
    /// Declares the reads that some of `exprs` uses.
    pub(crate) fn declare(source: &mut Source, space: &Space, kept: usize, exprs: &[&Expr]) -> Reads {
        let operands = space
            .origins
            .iter()
            .enumerate()
            .map(|(k, origin)| {
                exprs
                    .iter()
                    .any(|expr| expr.uses(k))
                    .then(|| Operand::declare(source, &format!("r{k}"), origin, &space.extents, Width::One))
            })
            .collect();
        let fixed = space.origins.iter().map(|origin| is_fixed(origin, space, kept)).collect();
        let values = vec![String::new(); space.origins.len()];
        Reads { operands, fixed, values }
    }

    /// Loads what is the same for the whole row.
    pub(crate) fn load_fixed(&mut self, kept: &[String], out: &mut String) {
        for (k, operand) in self.operands.iter().enumerate() {
            if let (Some(operand), true) = (operand, self.fixed[k]) {
                self.values[k] = operand.load(kept, Width::One, "", out);
            }
        }
    }

    /// Loads the rest of what `expr` uses at a point; the texts of all reads, then those of `steps`.
    pub(crate) fn load(
        &self,
        expr: &Expr,
        coords: &[String],
        steps: &[String],
        out: &mut String,
    ) -> Vec<String> {
        let mut values = self.values.clone();
        for (k, operand) in self.operands.iter().enumerate() {
            if let (Some(operand), false) = (operand, self.fixed[k] || !expr.uses(k)) {
                values[k] = operand.load(coords, Width::One, "", out);
            }
        }
        values.extend_from_slice(steps);
        values
    }

    /// The texts of what is the same for the whole row, then those of `steps`.
    pub(crate) fn of_row(&self, steps: &[String]) -> Vec<String> {
        [self.values.as_slice(), steps].concat()
    }
}

fn is_fixed(origin: &Origin, space: &Space, kept: usize) -> bool {
    let still = origin.place().is_none_or(|place| place.strides[kept..].iter().all(|&s| s == 0));
    let full = match origin {
        Origin::Read(Read::Padded { inside, .. }, _) => {
            inside[kept..].iter().zip(&space.extents[kept..]).all(|(&range, &extent)| range == (0, extent))
        }
        Origin::Read(..) | Origin::Partials(_) => true,
    };
    still && full
}
