//! The loops of vector instructions, written so that the compiler vectorizes them for the instruction set that they are
//! dispatched to.

use nnc_wgsl::schedule::Reduction;
use nnc_wgsl::{Binary, Scalar, Unary};
use pulp::{Simd, WithSimd};

use super::formula::{Registers, Work};
use super::math;

/// One instruction over the lanes of `into`. A closure would not be compiled for the instruction set that it is
/// dispatched to.
pub(super) struct Run<'a> {
    pub(super) work: &'a Work,
    pub(super) registers: &'a Registers,
    pub(super) into: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        run(self.work, self.registers, self.into);
    }
}

/// The lanes of one block combined into those of another one.
pub(super) struct Combine<'a> {
    pub(super) reduction: Reduction,
    pub(super) total: &'a mut [f32],
    pub(super) more: &'a [f32],
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        combine(self.reduction, self.total, self.more);
    }
}

#[inline(always)]
fn run(work: &Work, registers: &Registers, into: &mut [f32]) {
    let count = into.len();
    let lanes = |r: usize| &registers[r][..count];
    match *work {
        Work::Operand(_) => unreachable!("operands are loaded"),
        Work::Constant(bits) => into.fill(f32::from_bits(bits)),
        Work::Unary(op, a) => unary(op, lanes(a), into),
        Work::UnaryWhole(op, a) => unary_whole(op, lanes(a), into),
        Work::Binary(op, a, b) => binary(op, lanes(a), lanes(b), into),
        Work::BinaryWhole(op, a, b) => binary_whole(op, lanes(a), lanes(b), into),
        Work::Select(condition, yes, no) => {
            let choices = lanes(yes).iter().zip(lanes(no));
            for ((to, condition), (yes, no)) in into.iter_mut().zip(lanes(condition)).zip(choices) {
                *to = if condition.to_bits() != 0 { *yes } else { *no };
            }
        }
        Work::Cast(from, to, a) => cast(from, to, lanes(a), into),
    }
}

#[inline(always)]
fn each(a: &[f32], into: &mut [f32], f: impl Fn(f32) -> f32) {
    for (to, a) in into.iter_mut().zip(a) {
        *to = f(*a);
    }
}

#[inline(always)]
fn each_whole(a: &[f32], into: &mut [f32], f: impl Fn(i32) -> i32) {
    each(a, into, |a| of_whole(f(whole(a))));
}

#[inline(always)]
fn pairs(a: &[f32], b: &[f32], into: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for ((to, a), b) in into.iter_mut().zip(a).zip(b) {
        *to = f(*a, *b);
    }
}

#[inline(always)]
fn tests(a: &[f32], b: &[f32], into: &mut [f32], f: impl Fn(f32, f32) -> bool) {
    pairs(a, b, into, |a, b| truth(f(a, b)));
}

#[inline(always)]
fn pairs_whole(a: &[f32], b: &[f32], into: &mut [f32], f: impl Fn(i32, i32) -> i32) {
    pairs(a, b, into, |a, b| of_whole(f(whole(a), whole(b))));
}

#[inline(always)]
fn whole(lane: f32) -> i32 {
    lane.to_bits().cast_signed()
}

#[inline(always)]
fn of_whole(number: i32) -> f32 {
    f32::from_bits(number.cast_unsigned())
}

#[inline(always)]
fn truth(holds: bool) -> f32 {
    f32::from_bits(u32::from(holds))
}

#[inline(always)]
fn unary(op: Unary, a: &[f32], into: &mut [f32]) {
    let is_far = |a: &[f32]| a.iter().any(|x| x.abs() > math::FAR && x.is_finite());
    match op {
        Unary::Neg => each(a, into, |x| -x),
        Unary::Abs => each(a, into, f32::abs),
        Unary::Sign => each(a, into, |x| if x == 0.0 { 0.0 } else { f32::copysign(1.0, x) }),
        Unary::Exp => each(a, into, math::exp),
        Unary::Log => each(a, into, math::log),
        Unary::Sqrt => each(a, into, f32::sqrt),
        Unary::Sin if is_far(a) => each(a, into, f32::sin),
        Unary::Sin => each(a, into, math::sin),
        Unary::Cos if is_far(a) => each(a, into, f32::cos),
        Unary::Cos => each(a, into, math::cos),
        Unary::Tanh => each(a, into, math::tanh),
        Unary::Floor => each(a, into, f32::floor),
        Unary::Ceil => each(a, into, f32::ceil),
        Unary::Round => each(a, into, f32::round_ties_even),
        Unary::IsFinite => each(a, into, |x| truth(x.to_bits() & 0x7f80_0000 != 0x7f80_0000)),
        Unary::Not => each_whole(a, into, |x| x ^ 1),
    }
}

#[inline(always)]
fn unary_whole(op: Unary, a: &[f32], into: &mut [f32]) {
    match op {
        Unary::Neg => each_whole(a, into, i32::wrapping_neg),
        Unary::Abs => each_whole(a, into, i32::wrapping_abs),
        Unary::Sign => each_whole(a, into, i32::signum),
        Unary::Not => each_whole(a, into, |x| x ^ 1),
        Unary::Exp
        | Unary::Log
        | Unary::Sqrt
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::IsFinite => unreachable!("a checked formula takes `{op:?}` of floats"),
    }
}

#[inline(always)]
fn binary(op: Binary, a: &[f32], b: &[f32], into: &mut [f32]) {
    match op {
        Binary::Add => pairs(a, b, into, |x, y| x + y),
        Binary::Sub => pairs(a, b, into, |x, y| x - y),
        Binary::Mul => pairs(a, b, into, |x, y| x * y),
        Binary::Div => pairs(a, b, into, |x, y| x / y),
        Binary::Rem => pairs(a, b, into, |x, y| x % y),
        Binary::Pow => pairs(a, b, into, f32::powf),
        Binary::Min => pairs(a, b, into, f32::min),
        Binary::Max => pairs(a, b, into, f32::max),
        Binary::Lt => tests(a, b, into, |x, y| x < y),
        Binary::Le => tests(a, b, into, |x, y| x <= y),
        Binary::Gt => tests(a, b, into, |x, y| x > y),
        Binary::Ge => tests(a, b, into, |x, y| x >= y),
        Binary::Eq => tests(a, b, into, |x, y| x == y),
        Binary::Ne => tests(a, b, into, |x, y| x != y),
        Binary::And | Binary::Or => unreachable!("a checked formula takes `{op:?}` of truths"),
    }
}

#[inline(always)]
fn binary_whole(op: Binary, a: &[f32], b: &[f32], into: &mut [f32]) {
    let test = |into: &mut [f32], f: fn(&i32, &i32) -> bool| {
        tests(a, b, into, |x, y| f(&whole(x), &whole(y)));
    };
    match op {
        Binary::Add => pairs_whole(a, b, into, i32::wrapping_add),
        Binary::Sub => pairs_whole(a, b, into, i32::wrapping_sub),
        Binary::Mul => pairs_whole(a, b, into, i32::wrapping_mul),
        Binary::Div => pairs_whole(a, b, into, |x, y| if y == 0 { x } else { x.wrapping_div(y) }),
        Binary::Rem => pairs_whole(a, b, into, |x, y| if y == 0 { 0 } else { x.wrapping_rem(y) }),
        Binary::Min => pairs_whole(a, b, into, i32::min),
        Binary::Max => pairs_whole(a, b, into, i32::max),
        Binary::And => pairs_whole(a, b, into, |x, y| x & y),
        Binary::Or => pairs_whole(a, b, into, |x, y| x | y),
        Binary::Lt => test(into, i32::lt),
        Binary::Le => test(into, i32::le),
        Binary::Gt => test(into, i32::gt),
        Binary::Ge => test(into, i32::ge),
        Binary::Eq => test(into, i32::eq),
        Binary::Ne => test(into, i32::ne),
        Binary::Pow => unreachable!("a checked formula takes powers of floats"),
    }
}

#[inline(always)]
fn cast(from: Scalar, to: Scalar, a: &[f32], into: &mut [f32]) {
    match (from, to) {
        (Scalar::F32, Scalar::F32)
        | (Scalar::I32, Scalar::I32)
        | (Scalar::Bool, Scalar::Bool | Scalar::I32) => {
            into.copy_from_slice(a);
        }
        (Scalar::F32, Scalar::I32) => each(a, into, |x| of_whole(x as i32)),
        (Scalar::F32, Scalar::Bool) => each(a, into, |x| truth(x != 0.0)),
        (Scalar::I32 | Scalar::Bool, Scalar::F32) => each(a, into, |x| whole(x) as f32),
        (Scalar::I32, Scalar::Bool) => each(a, into, |x| truth(whole(x) != 0)),
    }
}

/// Combines the lanes of `b` into those of `a`.
#[inline(always)]
pub(super) fn combine(reduction: Reduction, a: &mut [f32], b: &[f32]) {
    let both = a.iter_mut().zip(b);
    match reduction {
        Reduction::Sum => both.for_each(|(a, b)| *a += b),
        Reduction::Product => both.for_each(|(a, b)| *a *= b),
        Reduction::Max => both.for_each(|(a, b)| *a = a.max(*b)),
        Reduction::Min => both.for_each(|(a, b)| *a = a.min(*b)),
    }
}
