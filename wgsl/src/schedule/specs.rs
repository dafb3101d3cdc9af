//! What one kernel computes, whatever schedule walks it: the vocabulary that compilers hand to executors.

use serde::{Deserialize, Serialize};

use super::{
    ContractSpec, ConvSpec, LineSpec, MapSpec, ProductRowSpec, RowSpec, WindowSpec, column, contract, conv,
    lines, map, product_row, row, window,
};
use crate::expr::Expr;
use crate::kernel::Schedule;
use crate::profile::Profile;

/// A specification of any schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Spec {
    /// Elementwise.
    Map(MapSpec),
    /// Rows.
    Row(RowSpec),
    /// Columns: one step, no element writes.
    Column(RowSpec),
    /// Rows between products.
    ProductRow(ProductRowSpec),
    /// A matrix product.
    Contract(ContractSpec),
    /// A convolution.
    Conv(ConvSpec),
    /// A pooling.
    Window(WindowSpec),
    /// Work along lines.
    Lines(LineSpec),
}

impl Spec {
    /// The launches that compute it on a GPU of this profile.
    #[must_use]
    pub fn schedule(&self, profile: &Profile) -> Schedule {
        match self {
            Spec::Map(spec) => map(spec, profile),
            Spec::Row(spec) => row(spec, profile),
            Spec::Column(spec) => column(spec, profile),
            Spec::ProductRow(spec) => product_row(spec, profile),
            Spec::Contract(spec) => contract(spec, profile),
            Spec::Conv(spec) => conv(spec, profile),
            Spec::Window(spec) => window(spec, profile),
            Spec::Lines(spec) => lines(spec, profile),
        }
    }

    /// Whether each read matters to what is computed: operands of an anchor do, others where a formula uses them.
    #[must_use]
    pub fn used(&self) -> Vec<bool> {
        let of = |anchors: usize, before: usize, reads: usize, formulas: &[&Expr]| {
            let used = |k: usize| formulas.iter().any(|formula| formula.uses(before + k));
            (0..anchors).map(|_| true).chain((0..reads).map(used)).collect()
        };
        match self {
            Spec::Map(spec) => of(0, 0, spec.reads.len(), &[&spec.expr]),
            Spec::Row(spec) | Spec::Column(spec) => {
                let mut formulas: Vec<&Expr> = spec.steps.iter().map(|step| &step.expr).collect();
                formulas.extend([&spec.row_expr, &spec.element_expr]);
                of(0, 0, spec.reads.len(), &formulas)
            }
            Spec::ProductRow(spec) => {
                let mut formulas: Vec<&Expr> = spec.steps.iter().map(|step| &step.expr).collect();
                formulas.extend([&spec.row_expr, &spec.values]);
                of(spec.factors.len(), spec.openings.len(), spec.reads.len(), &formulas)
            }
            Spec::Contract(ContractSpec { parts, epilogue, .. }) => {
                of(2, *parts as usize, epilogue.reads.len(), &[&epilogue.expr])
            }
            Spec::Conv(ConvSpec { epilogue, .. }) => of(2, 1, epilogue.reads.len(), &[&epilogue.expr]),
            Spec::Window(WindowSpec { epilogue, offsets, .. }) => {
                of(offsets.len(), 1, epilogue.reads.len(), &[&epilogue.expr])
            }
            Spec::Lines(LineSpec { epilogue, operands, .. }) => {
                of(operands.len(), 1, epilogue.reads.len(), &[&epilogue.expr])
            }
        }
    }
}
