//! Inputs that no data fills: numbers drawn anew for every step.

use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{InitSpec, Tensor};
use crate::source::Span;

impl<'a> Elaborator<'a> {
    /// Random numbers for a model input: `inputs { z = normal(0, 1) }`.
    pub(in crate::elaborate) fn random_input(
        &mut self,
        spec: &InitSpec,
        dims: Vec<Dim>,
        span: Span,
    ) -> Outcome<Tensor> {
        use nnc_runtime::artifact::Init;
        use nnc_wgsl::{Binary, Unary};
        self.mark(span);
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = match spec {
            InitSpec::Fixed(Init::Uniform { low, high }) => {
                let uniform = self.graph.random(shape);
                self.graph.map(&[uniform], |b, x| {
                    let width = b.real(high - low);
                    let low = b.real(*low);
                    let spread = b.binary(Binary::Mul, x[0], width);
                    b.binary(Binary::Add, spread, low)
                })
            }
            InitSpec::Fixed(Init::Normal { mean, std }) => {
                let radius = self.graph.random(shape.clone());
                let angle = self.graph.random(shape);
                self.graph.map(&[radius, angle], |b, x| {
                    let one = b.real(1.0);
                    let positive = b.binary(Binary::Sub, one, x[0]);
                    let log = b.unary(Unary::Log, positive);
                    let minus_two = b.real(-2.0);
                    let square = b.binary(Binary::Mul, minus_two, log);
                    let radius = b.unary(Unary::Sqrt, square);
                    let turn = b.real(std::f64::consts::TAU);
                    let angle = b.binary(Binary::Mul, turn, x[1]);
                    let cosine = b.unary(Unary::Cos, angle);
                    let normal = b.binary(Binary::Mul, radius, cosine);
                    let std = b.real(*std);
                    let scaled = b.binary(Binary::Mul, normal, std);
                    let mean = b.real(*mean);
                    b.binary(Binary::Add, scaled, mean)
                })
            }
            _ => {
                return self.fail(
                    "E0204",
                    span,
                    "an input is filled by `normal` or `uniform`",
                    "not by this",
                );
            }
        };
        Ok(self.tensor(node, dims))
    }
}
