//! A formula as a list of vector instructions over blocks of lanes, made once when a program is opened.
//!
//! A lane is the 32 bits of a value: of a float as they are, of an `i32` its bits, of a truth 0 or 1. Each instruction is
//! one tight loop over a block that stays in the nearest cache; registers are used again as soon as their values are done
//! with.

use nnc_wgsl::{Binary, Expr, Scalar, Term, Unary};

use super::vector;

/// Lanes of a block.
pub(super) const BLOCK: usize = 512;

/// A compiled formula.
#[derive(Debug)]
pub(super) struct Formula {
    pub(super) instructions: Vec<Instruction>,
    /// The register of each result.
    pub(super) results: Vec<usize>,
    /// How many registers it takes.
    pub(super) registers: usize,
}

/// One loop over a block, into register `to`, which is none of its operands.
#[derive(Debug)]
pub(super) struct Instruction {
    pub(super) work: Work,
    pub(super) to: usize,
}

/// What an instruction computes, of registers.
#[derive(Debug)]
pub(super) enum Work {
    /// Operand number `.0` of the formula.
    Operand(usize),
    /// The same bits in every lane.
    Constant(u32),
    /// A function of floats.
    Unary(Unary, usize),
    /// A function of whole numbers.
    UnaryWhole(Unary, usize),
    /// A function of two floats, or a test of them.
    Binary(Binary, usize, usize),
    /// A function of two whole numbers or truths, or a test of them.
    BinaryWhole(Binary, usize, usize),
    /// Lanes of the second or third where the first is true or false.
    Select(usize, usize, usize),
    /// From one type to another one.
    Cast(Scalar, Scalar, usize),
}

/// The registers of a thread.
pub(super) type Registers = Vec<Vec<f32>>;

impl Formula {
    /// Compiles a checked formula.
    pub(super) fn new(expr: &Expr) -> Formula {
        let terms = expr.terms();
        let mut needed = vec![false; terms.len()];
        expr.results().iter().for_each(|result| needed[result.index()] = true);
        let mut last = vec![0; terms.len()];
        for (place, term) in terms.iter().enumerate().rev() {
            if needed[place] {
                for part in parts(term) {
                    if !needed[part] {
                        (needed[part], last[part]) = (true, place);
                    }
                }
            }
        }
        expr.results().iter().for_each(|result| last[result.index()] = usize::MAX);
        let types = types(terms);
        let (mut free, mut registers): (Vec<usize>, usize) = (Vec::new(), 0);
        let mut at = vec![0; terms.len()];
        let mut instructions = Vec::new();
        for (place, term) in terms.iter().enumerate().filter(|(place, _)| needed[*place]) {
            let to = free.pop().unwrap_or_else(|| {
                registers += 1;
                registers - 1
            });
            at[place] = to;
            instructions.push(Instruction { work: work(term, &at, &types), to });
            let mut done: Vec<usize> = parts(term).filter(|part| last[*part] == place).collect();
            done.dedup();
            free.extend(done.into_iter().map(|part| at[part]));
        }
        let results = expr.results().iter().map(|result| at[result.index()]).collect();
        Formula { instructions, results, registers }
    }

    /// Computes the results of `count` lanes into their registers; `load` fills a register with an operand.
    pub(super) fn evaluate(
        &self,
        arch: pulp::Arch,
        registers: &mut Registers,
        count: usize,
        mut load: impl FnMut(usize, &mut [f32]),
    ) {
        for Instruction { work, to } in &self.instructions {
            let mut into = std::mem::take(&mut registers[*to]);
            match work {
                Work::Operand(k) => load(*k, &mut into[..count]),
                _ => arch.dispatch(vector::Run { work, registers, into: &mut into[..count] }),
            }
            registers[*to] = into;
        }
    }

    /// The lanes of result `k`.
    pub(super) fn result<'a>(&self, registers: &'a Registers, k: usize, count: usize) -> &'a [f32] {
        &registers[self.results[k]][..count]
    }
}

fn parts(term: &Term) -> impl Iterator<Item = usize> {
    let parts: [Option<usize>; 3] = match term {
        Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_) => [None; 3],
        Term::Unary(_, a) | Term::Cast(_, a) => [Some(a.index()), None, None],
        Term::Binary(_, a, b) => [Some(a.index()), Some(b.index()), None],
        Term::Select { condition, yes, no } => [Some(condition.index()), Some(yes.index()), Some(no.index())],
    };
    parts.into_iter().flatten()
}

fn types(terms: &[Term]) -> Vec<Scalar> {
    let mut types: Vec<Scalar> = Vec::with_capacity(terms.len());
    for term in terms {
        types.push(match term {
            Term::Operand(_, ty) | Term::Cast(ty, _) => *ty,
            Term::Real(_) => Scalar::F32,
            Term::Int(_) => Scalar::I32,
            Term::Bool(_) | Term::Unary(Unary::Not | Unary::IsFinite, _) => Scalar::Bool,
            Term::Binary(op, ..) if op.is_truth() => Scalar::Bool,
            Term::Unary(_, a) | Term::Binary(_, a, _) | Term::Select { yes: a, .. } => types[a.index()],
        });
    }
    types
}

fn work(term: &Term, at: &[usize], types: &[Scalar]) -> Work {
    let register = |r: &nnc_wgsl::Ref| at[r.index()];
    let is_float = |r: &nnc_wgsl::Ref| types[r.index()] == Scalar::F32;
    match term {
        Term::Operand(k, _) => Work::Operand(*k as usize),
        Term::Real(v) => Work::Constant((v.value() as f32).to_bits()),
        Term::Int(v) => Work::Constant(v.cast_unsigned()),
        Term::Bool(v) => Work::Constant(u32::from(*v)),
        Term::Unary(op, a) if is_float(a) => Work::Unary(*op, register(a)),
        Term::Unary(op, a) => Work::UnaryWhole(*op, register(a)),
        Term::Binary(op, a, b) if is_float(a) => Work::Binary(*op, register(a), register(b)),
        Term::Binary(op, a, b) => Work::BinaryWhole(*op, register(a), register(b)),
        Term::Select { condition, yes, no } => Work::Select(register(condition), register(yes), register(no)),
        Term::Cast(to, a) => Work::Cast(types[a.index()], *to, register(a)),
    }
}

#[cfg(test)]
mod tests {
    use nnc_wgsl::ExprBuilder;

    use super::*;

    fn evaluate(expr: &Expr, operands: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let formula = Formula::new(expr);
        let mut registers = vec![vec![0.0; BLOCK]; formula.registers];
        let count = operands[0].len();
        let load = |k: usize, into: &mut [f32]| into.copy_from_slice(&operands[k]);
        formula.evaluate(pulp::Arch::new(), &mut registers, count, load);
        (0..formula.results.len()).map(|k| formula.result(&registers, k, count).to_vec()).collect()
    }

    #[test]
    fn results_survive_what_comes_after_them_and_registers_are_used_again() {
        let mut b = ExprBuilder::new(&[Scalar::F32, Scalar::F32]);
        let (x, y) = (b.operand(0), b.operand(1));
        let first = b.binary(Binary::Mul, x, x);
        let mut value = y;
        for _ in 0..20 {
            let more = b.binary(Binary::Add, value, x);
            value = b.unary(Unary::Tanh, more);
        }
        let expr = b.finish(&[first, value]);
        assert!(Formula::new(&expr).registers <= 5);
        let results = evaluate(&expr, &[vec![3.0, -2.0], vec![1.0, 0.5]]);
        assert_eq!(results[0], [9.0, 4.0]);
        let meaning = expr.evaluate(&[3.0, 1.0]);
        assert!((f64::from(results[1][0]) - meaning[1]).abs() < 1e-6);
    }

    #[test]
    fn every_function_computes_its_meaning() {
        use Binary::{Add, And, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Pow, Rem, Sub};
        use Unary::{Abs, Ceil, Cos, Exp, Floor, IsFinite, Log, Neg, Not, Round, Sign, Sin, Sqrt, Tanh};
        let numbers = [-7.0f32, -2.5, -0.5, 0.0, 0.25, 1.0, 1.5, 3.0, 100.0];
        let mut exprs = Vec::new();
        for op in [Neg, Abs, Sign, Exp, Log, Sqrt, Sin, Cos, Tanh, Floor, Ceil, Round] {
            exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| b.unary(op, x[0])));
        }
        for op in [Neg, Abs, Sign] {
            exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| {
                let whole = b.cast(Scalar::I32, x[0]);
                let value = b.unary(op, whole);
                b.cast(Scalar::F32, value)
            }));
        }
        for op in [Add, Sub, Mul, Div, Rem, Pow, Min, Max] {
            exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| b.binary(op, x[0], x[1])));
        }
        for op in [Add, Sub, Mul, Div, Rem, Min, Max] {
            exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| {
                let (x, y) = (b.cast(Scalar::I32, x[0]), b.cast(Scalar::I32, x[1]));
                let value = b.binary(op, x, y);
                b.cast(Scalar::F32, value)
            }));
        }
        for op in [Lt, Le, Gt, Ge, Eq, Ne] {
            for whole in [false, true] {
                exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| {
                    let value = match whole {
                        true => {
                            let (x, y) = (b.cast(Scalar::I32, x[0]), b.cast(Scalar::I32, x[1]));
                            b.binary(op, x, y)
                        }
                        false => b.binary(op, x[0], x[1]),
                    };
                    b.select(value, x[0], x[1])
                }));
            }
        }
        for op in [And, Or, Eq, Ne] {
            exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| {
                let (x, y) = (b.cast(Scalar::Bool, x[0]), b.cast(Scalar::Bool, x[1]));
                let (x, y) = (b.unary(Not, x), b.binary(op, x, y));
                let both = b.binary(Or, x, y);
                b.cast(Scalar::F32, both)
            }));
        }
        exprs.push(Expr::build(&[Scalar::F32; 2], |b, x| {
            let ratio = b.binary(Div, x[0], x[1]);
            let finite = b.unary(IsFinite, ratio);
            let whole = b.cast(Scalar::I32, finite);
            b.cast(Scalar::F32, whole)
        }));
        let pairs: Vec<(f32, f32)> = numbers.iter().flat_map(|x| numbers.map(|y| (*x, y))).collect();
        let operands = [pairs.iter().map(|p| p.0).collect(), pairs.iter().map(|p| p.1).collect()];
        for expr in exprs {
            let found = &evaluate(&expr, &operands)[0];
            for ((x, y), found) in pairs.iter().zip(found) {
                let meaning = expr.evaluate(&[f64::from(*x), f64::from(*y)])[0];
                let exact = meaning as f32;
                let near = (found - exact).abs() <= 4e-7 * exact.abs().max(0.5);
                let same = near || *found == exact || (found.is_nan() && exact.is_nan());
                assert!(same, "{expr} of {x}, {y} is {found}, not {meaning}");
            }
        }
    }
}
