//! Numbers that the training loop knows (`step`, `epoch`), as formulas until they meet a tensor.

use nnc_runtime::artifact::HostSymbol;
use nnc_wgsl::{Expr, ExprBuilder, Ref, Scalar};

use crate::elaborate::dim::Dim;

/// A formula of what the training loop knows; every operand is a float.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostValue {
    /// The formula, of one result.
    pub(super) expr: Expr,
    /// Its operands.
    pub(super) symbols: Vec<HostSymbol>,
}

impl HostValue {
    /// The number `symbol`.
    #[must_use]
    pub(super) fn symbol(symbol: HostSymbol) -> HostValue {
        HostValue { expr: Expr::identity(Scalar::F32), symbols: vec![symbol] }
    }

    /// The float `value`.
    #[must_use]
    pub(super) fn constant(value: f64) -> HostValue {
        HostValue { expr: Expr::constant(value), symbols: Vec::new() }
    }

    /// `dim` with the batch dim replaced by the number of examples that count; `None` where the batch dim is
    /// inside a quotient.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn of_dim(dim: &Dim) -> Option<HostValue> {
        let powers = dim.powers_of_batch()?;
        let expr = Expr::build(&[Scalar::F32], |b, x| {
            let mut total: Option<Ref> = None;
            for (power, coefficient) in &powers {
                let mut term = b.real(*coefficient as f64);
                for _ in 0..*power {
                    term = b.binary(nnc_wgsl::Binary::Mul, term, x[0]);
                }
                total = Some(match total {
                    Some(sum) => b.binary(nnc_wgsl::Binary::Add, sum, term),
                    None => term,
                });
            }
            total.unwrap_or_else(|| b.real(0.0))
        });
        Some(HostValue { expr, symbols: vec![HostSymbol::Examples] })
    }

    /// The formula `f` of `values`.
    pub(super) fn combine(
        values: &[HostValue],
        f: impl FnOnce(&mut ExprBuilder, &[Ref]) -> Ref,
    ) -> HostValue {
        let mut symbols: Vec<HostSymbol> = values.iter().flat_map(|value| value.symbols.clone()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let mut b = ExprBuilder::new(&vec![Scalar::F32; symbols.len()]);
        let mut parts = Vec::with_capacity(values.len());
        for value in values {
            let arguments: Vec<Ref> = value
                .symbols
                .iter()
                .map(|symbol| b.operand(symbols.partition_point(|known| known < symbol)))
                .collect();
            parts.extend(b.inline(&value.expr, &arguments));
        }
        let result = f(&mut b, &parts);
        HostValue { expr: b.finish(&[result]), symbols }
    }

    /// What it is.
    #[must_use]
    pub(super) fn scalar(&self) -> Scalar {
        self.expr.result_type(0)
    }
}
