//! Gradients that a `fn` gives by formula in place of the derived ones.

use nnc_wgsl::Element;

use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::frame::Frame;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::StopGradient;
use crate::source::Span;

impl<'a> Elaborator<'a> {
    /// Replaces the derived gradients of the parameters that have a `grad` formula.
    pub(super) fn with_gradients(
        &mut self,
        frame: &Frame<'a>,
        result: Value<'a>,
        originals: &[(String, Tensor)],
        span: Span,
    ) -> Outcome<Value<'a>> {
        if originals.is_empty() {
            return Ok(result);
        }
        let Value::Tensor(tensor) = result.first() else {
            return self.fail(
                "E0504",
                span,
                "a `fn` with `grad` gives one tensor",
                "this gives something else",
            );
        };
        let mut node = tensor.node;
        for (name, original) in originals {
            let floats = original.element == Element::F32 && tensor.element == Element::F32;
            if original.dims != tensor.dims || !floats {
                let message = format!("`grad {name}` needs a result of the shape of `{name}`");
                let fact = format!("{} from {}", tensor.show(), original.show());
                return self.fail("E0504", span, message, fact);
            }
            self.mark(span);
            let slope = match frame.grads.get(name) {
                Some(Value::Tensor(slope)) => {
                    let slope = slope.clone();
                    self.slope_fits(name, &slope, original, span)?;
                    slope.node
                }
                Some(Value::Host(host)) => {
                    let host = host.clone();
                    self.host_node(&host)
                }
                Some(value) => {
                    let number = self.real(&value.clone(), span)?;
                    self.graph.constant(number, crate::ir::TensorType::f32(original.shape()))
                }
                None => continue,
            };
            let slope = self.graph.must(StopGradient, &[slope]);
            let still = self.graph.must(StopGradient, &[original.node]);
            node = self.graph.map(&[node, slope, original.node, still], |b, x| {
                let slope = b.cast(nnc_wgsl::Scalar::F32, x[1]);
                let change = b.binary(nnc_wgsl::Binary::Sub, x[2], x[3]);
                let change = b.binary(nnc_wgsl::Binary::Mul, slope, change);
                b.binary(nnc_wgsl::Binary::Add, x[0], change)
            });
        }
        Ok(Value::Tensor(Tensor { node, ..tensor }))
    }
}
