//! `contract`: a product of two tensors, summed over axes they share; axes are named by letters as in einsum.
//!
//! | | |
//! |---|---|
//! | operands | `f32`; no letter twice in one operand |
//! | result | the letters asked for; each stands in an operand, and a letter that is summed stands in both |
//! | gradient | the upstream contracted with the other operand |
//! | schedule | contract: letters in all three are the batch |

use std::collections::BTreeMap;

use super::{Example, GradientCx, Lowering, NotDifferentiable, Operator, TypeError};
use crate::ir::{NodeId, Tensor, TensorType, for_each_point};

/// See the module.
#[derive(Clone, Debug)]
pub struct Contract {
    left: Vec<char>,
    right: Vec<char>,
    result: Vec<char>,
}

impl Contract {
    /// The product written `left,right->result`, such as `bmk,bkn->bmn`.
    #[must_use]
    pub fn new(left: &str, right: &str, result: &str) -> Contract {
        Contract {
            left: left.chars().collect(),
            right: right.chars().collect(),
            result: result.chars().collect(),
        }
    }

    fn extents(&self, left: &[usize], right: &[usize]) -> BTreeMap<char, usize> {
        self.left.iter().zip(left).chain(self.right.iter().zip(right)).map(|(&c, &e)| (c, e)).collect()
    }
}

impl Operator for Contract {
    fn label(&self) -> String {
        let text = |letters: &[char]| letters.iter().collect::<String>();
        format!("contract{{{},{}->{}}}", text(&self.left), text(&self.right), text(&self.result))
    }

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        super::arity(operands, 2, "contract")?;
        super::floats(operands, "contract")?;
        let refused = |why: String| TypeError::new(format!("`{}` {why}", self.label()));
        let mut extents: BTreeMap<char, usize> = BTreeMap::new();
        for (letters, ty) in [(&self.left, operands[0]), (&self.right, operands[1])] {
            if letters.len() != ty.rank() {
                return Err(refused(format!("does not fit {ty}")));
            }
            for (i, (&letter, &extent)) in letters.iter().zip(&ty.shape).enumerate() {
                if letters[..i].contains(&letter) {
                    return Err(refused(format!("names `{letter}` twice in one operand")));
                }
                let known = *extents.entry(letter).or_insert(extent);
                if known != extent {
                    return Err(refused(format!("has {known} and {extent} for `{letter}`")));
                }
            }
        }
        for letter in extents.keys() {
            let shared = self.left.contains(letter) && self.right.contains(letter);
            if !shared && !self.result.contains(letter) {
                return Err(refused(format!("sums `{letter}`, which one operand does not have")));
            }
        }
        let shape: Option<Vec<usize>> = self.result.iter().map(|c| extents.get(c).copied()).collect();
        Ok(TensorType::f32(shape.ok_or_else(|| refused("asks for a letter no operand has".to_owned()))?))
    }

    fn gradient(&self, cx: &mut GradientCx<'_>) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
        let (left, right) = (cx.operands[0], cx.operands[1]);
        let for_left =
            Contract { left: self.result.clone(), right: self.right.clone(), result: self.left.clone() };
        let for_right =
            Contract { left: self.left.clone(), right: self.result.clone(), result: self.right.clone() };
        let left_gradient = cx.wanted[0].then(|| cx.graph.must(for_left, &[cx.upstream, right]));
        let right_gradient = cx.wanted[1].then(|| cx.graph.must(for_right, &[left, cx.upstream]));
        Ok(vec![left_gradient, right_gradient])
    }

    fn evaluate(&self, operands: &[&Tensor]) -> Tensor {
        let extents = self.extents(operands[0].shape(), operands[1].shape());
        let strides = |letters: &[char], strides: &[usize], of: char| {
            letters.iter().position(|&c| c == of).map_or(0, |axis| strides[axis])
        };
        let result_shape: Vec<usize> = self.result.iter().map(|c| extents[c]).collect();
        let mut result = Tensor::new(&*result_shape, vec![0.0; result_shape.iter().product()]);
        if result.data().is_empty() {
            return result;
        }
        let (columns, rows) = self.result.split_last().map_or((None, &[][..]), |(c, rows)| (Some(*c), rows));
        let summed = extents.keys().filter(|c| !self.result.contains(c));
        let letters: Vec<char> = rows.iter().chain(summed).copied().collect();
        let shape: Vec<usize> = letters.iter().map(|c| extents[c]).collect();
        let of = |letters_of: &[char], steps: &[usize]| -> (Vec<usize>, usize) {
            let along = letters.iter().map(|&c| strides(letters_of, steps, c)).collect();
            (along, columns.map_or(0, |c| strides(letters_of, steps, c)))
        };
        let (left, left_step) = of(&self.left, &operands[0].strides());
        let (right, right_step) = of(&self.right, &operands[1].strides());
        let (into, _) = of(&self.result, &result.strides());
        let dot = |at: &[usize], strides: &[usize]| at.iter().zip(strides).map(|(c, s)| c * s).sum::<usize>();
        let (a, b, sums) = (operands[0].data(), operands[1].data(), result.data_mut());
        let width = columns.map_or(1, |c| extents[&c]);
        for_each_point(&shape, |at| {
            let (a, b, sums) = (&a[dot(at, &left)..], &b[dot(at, &right)..], &mut sums[dot(at, &into)..]);
            for (column, sum) in sums[..width].iter_mut().enumerate() {
                *sum += a[column * left_step] * b[column * right_step];
            }
        });
        result
    }

    fn lower(&self) -> Lowering {
        Lowering::Contract { left: self.left.clone(), right: self.right.clone(), result: self.result.clone() }
    }
}

pub(super) fn examples() -> Vec<Example> {
    let f = |shape: &[usize]| TensorType::f32(shape);
    vec![
        Example::new(Contract::new("mk", "kn", "mn"), &[f(&[5, 7]), f(&[7, 3])]),
        Example::new(Contract::new("mk", "nk", "mn"), &[f(&[4, 8]), f(&[12, 8])]),
        Example::new(Contract::new("km", "kn", "mn"), &[f(&[6, 5]), f(&[6, 4])]),
        Example::new(Contract::new("km", "nk", "nm"), &[f(&[6, 5]), f(&[4, 6])]),
        Example::new(Contract::new("bmk", "bkn", "bmn"), &[f(&[2, 3, 4]), f(&[2, 4, 5])]),
        Example::new(Contract::new("ntk", "ok", "nto"), &[f(&[2, 3, 4]), f(&[5, 4])]),
        Example::new(Contract::new("nto", "ntk", "ok"), &[f(&[2, 3, 4]), f(&[2, 3, 5])]),
        Example::new(Contract::new("nhqd", "nhkd", "nhqk"), &[f(&[2, 2, 3, 4]), f(&[2, 2, 5, 4])]),
        Example::new(Contract::new("nchw", "oh", "ncow"), &[f(&[2, 3, 4, 5]), f(&[6, 4])]),
        Example::new(Contract::new("abk", "kcd", "cadb"), &[f(&[2, 3, 4]), f(&[4, 5, 2])]),
        Example::new(Contract::new("m", "n", "mn"), &[f(&[3]), f(&[4])]),
        Example::new(Contract::new("k", "k", ""), &[f(&[9]), f(&[9])]),
    ]
}
