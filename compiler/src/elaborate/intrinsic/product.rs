//! Products summed over shared axes, and `@`.

use super::Call;
use super::reduction::counted;
use crate::diagnostic::Diagnostic;
use crate::elaborate::arithmetic::Operand;
use crate::elaborate::context::{Elaborator, Outcome};
use crate::elaborate::dim::Dim;
use crate::elaborate::value::{Tensor, Value};
use crate::ops::Contract;
use crate::source::Span;

pub(super) const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

impl<'a> Elaborator<'a> {
    /// `left @ right`: the last axis of `left` with the last but one of `right`; the axes before align on the
    /// right.
    pub(in crate::elaborate) fn matrix_product(
        &mut self,
        place: Span,
        left: Operand<'a>,
        right: Operand<'a>,
    ) -> Outcome<Value<'a>> {
        let (Value::Tensor(a), Value::Tensor(b)) = (&left.0, &right.0) else {
            let (wrong, span) = if matches!(left.0, Value::Tensor(_)) { right } else { left };
            let found = wrong.describe();
            return self.fail("E0204", span, "`@` multiplies two tensors", format!("this is {found}"));
        };
        if a.rank() == 0 || b.rank() == 0 {
            return self.fail("E0309", place, "`@` multiplies matrices", "a single number stands here");
        }
        let (inner_a, inner_b) = (&a.dims[a.rank() - 1], &b.dims[b.rank().saturating_sub(2)]);
        if inner_a != inner_b {
            let fact = format!("{inner_a} columns with {inner_b} rows");
            let diagnostic = Diagnostic::error("E0309", "the matrix product does not fit", place)
                .fact(fact)
                .label(left.1, a.show())
                .label(right.1, b.show());
            let turned = b.rank() >= 2 && *inner_a == b.dims[b.rank() - 1];
            let help = turned.then(|| "transpose the right side: `a @ transpose(b)`".to_owned());
            return Err(self.report(diagnostic.help_maybe(help)));
        }
        let batches = a.rank().max(b.rank()).saturating_sub(2);
        let letters: Vec<char> = LETTERS.chars().skip(3).take(batches).collect();
        let (first, first_axes) = batch_letters(a, &letters);
        let (second, second_axes) = batch_letters(b, &letters);
        for (k, letter) in letters.iter().enumerate() {
            let axis =
                |named: &str, axes: &[usize]| named.chars().position(|c| c == *letter).map(|at| axes[at]);
            let (Some(of_a), Some(of_b)) = (axis(&first, &first_axes), axis(&second, &second_axes)) else {
                continue;
            };
            let (mine, theirs) = (&a.dims[of_a], &b.dims[of_b]);
            if mine != theirs {
                let diagnostic = Diagnostic::error("E0309", "the matrix product does not fit", place)
                    .fact(format!("{mine} matrices with {theirs}"))
                    .label(left.1, a.show())
                    .label(right.1, b.show())
                    .note(format!(
                        "of the dims before the last two, number {} is {mine} and {theirs}",
                        k + 1
                    ));
                return Err(self.report(diagnostic));
            }
        }
        let mut result = String::new();
        let mut dims = Vec::new();
        for (k, letter) in letters.iter().enumerate() {
            let dim = [(a, &first), (b, &second)].iter().find_map(|(tensor, named)| {
                let place = named.chars().position(|known| known == *letter)?;
                let axes = if std::ptr::eq(*tensor, a) { &first_axes } else { &second_axes };
                Some(tensor.dims[axes[place]].clone())
            });
            result.push(*letter);
            dims.push(dim.unwrap_or(Dim::constant(1)));
            let _ = k;
        }
        let (mut first, mut second) = (first, second);
        if a.rank() > 1 {
            first.push('a');
            result.push('a');
            dims.push(a.dims[a.rank() - 2].clone());
        }
        first.push('b');
        second.push('b');
        if b.rank() > 1 {
            second.push('c');
            result.push('c');
            dims.push(b.dims[b.rank() - 1].clone());
        }
        let call = Call { name: "@", name_span: place, span: place, rest: Vec::new(), arguments: Vec::new() };
        let a = without_ones(self, a, &first_axes);
        let b = without_ones(self, b, &second_axes);
        self.contract(&call, [&a, &b], [&first, &second], &result, dims).map(Value::Tensor)
    }

    /// The product of two operands whose axes are named by letters, summed over those that `result` lacks.
    pub(super) fn contract(
        &mut self,
        call: &Call<'a>,
        operands: [&Tensor; 2],
        letters: [&str; 2],
        result: &str,
        dims: Vec<Dim>,
    ) -> Outcome<Tensor> {
        let used: Vec<char> = letters[0].chars().filter(|letter| !result.contains(*letter)).collect();
        let alone = used.iter().any(|letter| !letters[1].contains(*letter))
            || letters[1].chars().any(|letter| !result.contains(letter) && !letters[0].contains(letter));
        if alone {
            let message = format!("`{}` sums an axis that one operand does not have", call.name);
            return self.fail("E0309", call.span, message, "sum it before the product");
        }
        let missing: Vec<usize> = result
            .chars()
            .enumerate()
            .filter(|(_, c)| !letters.concat().contains(*c))
            .map(|(k, _)| k)
            .collect();
        let kept: String = result.chars().filter(|c| letters.concat().contains(*c)).collect();
        let kept_dims: Vec<Dim> = dims
            .iter()
            .enumerate()
            .filter(|(k, _)| !missing.contains(k))
            .map(|(_, dim)| dim.clone())
            .collect();
        let joined = Joined::new(letters, &kept);
        let mut sides = Vec::with_capacity(2);
        for (operand, letters) in operands.into_iter().zip(letters) {
            let summed: Vec<usize> = (0..operand.rank())
                .zip(letters.chars())
                .filter(|(_, c)| !kept.contains(*c))
                .map(|(k, _)| k)
                .collect();
            let operand = counted(self, call, operand.clone(), &summed, 0.0)?;
            sides.push(joined.operand(self, &operand, letters));
        }
        let [a, b] = [&sides[0], &sides[1]];
        let product = Contract::new(&joined.text(letters[0]), &joined.text(letters[1]), &joined.text(&kept));
        let tensor = self.node(call, product, &[a, b], joined.dims(&kept, &kept_dims))?;
        if missing.is_empty() && !joined.any() {
            return Ok(tensor);
        }
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = self.graph.reshape(tensor.node, &shape);
        Ok(Tensor { node, dims, ..tensor })
    }
}

/// Axes of one operand that stay side by side in the result are one axis of the product: `n t i, o i -> n t o` is
/// a plain matrix product over `n t` rows.
struct Joined {
    /// Letters that are joined to the one before them.
    follows: Vec<char>,
}

impl Joined {
    fn new(letters: [&str; 2], result: &str) -> Joined {
        let mut follows = Vec::new();
        for (mine, other) in [(letters[0], letters[1]), (letters[1], letters[0])] {
            let pairs = mine.chars().zip(mine.chars().skip(1));
            for (before, after) in pairs {
                let alone = !other.contains(before) && !other.contains(after);
                if alone && result.contains(&format!("{before}{after}")) {
                    follows.push(after);
                }
            }
        }
        Joined { follows }
    }

    fn any(&self) -> bool {
        !self.follows.is_empty()
    }

    fn text(&self, letters: &str) -> String {
        letters.chars().filter(|letter| !self.follows.contains(letter)).collect()
    }

    fn dims(&self, letters: &str, dims: &[Dim]) -> Vec<Dim> {
        let mut out: Vec<Dim> = Vec::new();
        for (letter, dim) in letters.chars().zip(dims) {
            match out.last_mut() {
                Some(last) if self.follows.contains(&letter) => {
                    *last = last.multiply(dim).unwrap_or_else(|| dim.clone());
                }
                _ => out.push(dim.clone()),
            }
        }
        out
    }

    fn operand(&self, e: &mut Elaborator<'_>, tensor: &Tensor, letters: &str) -> Tensor {
        if !letters.chars().any(|letter| self.follows.contains(&letter)) {
            return tensor.clone();
        }
        let dims = self.dims(letters, &tensor.dims);
        let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
        let node = e.graph.reshape(tensor.node, &shape);
        Tensor { node, dims, ..tensor.clone() }
    }
}

/// The letters of the axes before the last two that are not of size 1, and which axes those are.
fn batch_letters(tensor: &Tensor, letters: &[char]) -> (String, Vec<usize>) {
    let outer = tensor.rank().saturating_sub(2);
    let skip = letters.len() - outer;
    let mut named = String::new();
    let mut axes = Vec::new();
    for axis in 0..outer {
        if tensor.dims[axis] != Dim::constant(1) {
            named.push(letters[skip + axis]);
            axes.push(axis);
        }
    }
    (named, axes)
}

/// `tensor` with only these of its outer axes.
fn without_ones(e: &mut Elaborator<'_>, tensor: &Tensor, axes: &[usize]) -> Tensor {
    let outer = tensor.rank().saturating_sub(2);
    if axes.len() == outer {
        return tensor.clone();
    }
    let mut dims: Vec<Dim> = axes.iter().map(|axis| tensor.dims[*axis].clone()).collect();
    dims.extend(tensor.dims[outer..].iter().cloned());
    let shape: Vec<usize> = dims.iter().map(Dim::size).collect();
    let node = e.graph.reshape(tensor.node, &shape);
    Tensor { node, dims, ..tensor.clone() }
}
