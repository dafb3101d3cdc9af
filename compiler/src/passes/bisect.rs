//! Which pass makes a result wrong, and by which of its rewrites, found in as many tries as the logarithm of their number.

use super::{Pipeline, Selection, Unit};

/// More rewrites than any pass makes: a result that is right with so many is not the same in every run.
const MOST: usize = 1 << 32;

/// What makes a result wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// Nothing: it is right when every pass runs.
    Nothing,
    /// It is wrong as well when all is left out that can be: the passes that nothing can do without, the kernels, the plan
    /// or the device.
    Rest,
    /// A pass or a part of one.
    Unit {
        /// What it is.
        unit: Unit,
        /// How many units come before it, which are right together.
        before: usize,
        /// The number, from 1, of the first of its rewrites with which the result is wrong.
        rewrite: usize,
    },
}

/// Finds what makes a result wrong, if leaving out what comes after it does not mend it.
///
/// # Errors
/// The first error of `is_wrong`.
pub fn bisect<E>(
    pipeline: &Pipeline,
    mut is_wrong: impl FnMut(&Selection) -> Result<bool, E>,
) -> Result<Culprit, E> {
    if !is_wrong(&Selection::default())? {
        return Ok(Culprit::Nothing);
    }
    if is_wrong(&Selection::first(pipeline, 0, None))? {
        return Ok(Culprit::Rest);
    }
    let units = pipeline.units();
    let (mut right, mut wrong) = (0, units.len());
    while wrong - right > 1 {
        let middle = usize::midpoint(right, wrong);
        match is_wrong(&Selection::first(pipeline, middle, None))? {
            true => wrong = middle,
            false => right = middle,
        }
    }
    let rewrite = first_wrong(|rewrites| is_wrong(&Selection::first(pipeline, wrong, Some(rewrites))))?;
    Ok(Culprit::Unit { unit: units[right].clone(), before: right, rewrite })
}

/// The least number that is wrong, where 0 is right and what is large enough is wrong.
fn first_wrong<E>(mut is_wrong: impl FnMut(usize) -> Result<bool, E>) -> Result<usize, E> {
    let (mut right, mut wrong) = (0, 1);
    while wrong < MOST && !is_wrong(wrong)? {
        right = wrong;
        wrong *= 2;
    }
    while wrong - right > 1 {
        let middle = usize::midpoint(right, wrong);
        match is_wrong(middle)? {
            true => wrong = middle,
            false => right = middle,
        }
    }
    Ok(wrong)
}
