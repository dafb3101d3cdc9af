//! The order in which the parameters of a definition are bound.

use std::cmp::Ordering;

use crate::elaborate::data::names_in;
use crate::syntax::ast::{Dim, Expr, ExprKind, Parameter};

/// The order in which parameters are bound: one whose type names a later parameter waits for that.
pub(super) fn binding_order(parameters: &[Parameter]) -> Vec<usize> {
    let plain = |dim: &Dim| match dim {
        Dim::Rest(_) => true,
        Dim::One(expr) => match &expr.kind {
            ExprKind::Int(_) => true,
            ExprKind::Name(name) => name.starts_with(char::is_uppercase),
            _ => false,
        },
    };
    if parameters.iter().filter_map(|one| one.ty.as_ref()).flat_map(|ty| ty.dims.iter().flatten()).all(plain)
    {
        return (0..parameters.len()).collect();
    }
    let named = |expr: &Expr, other: &Parameter| {
        let mut names = Vec::new();
        names_in(expr, &mut names);
        names.iter().any(|(name, _)| *name == other.name.text)
    };
    let by_type = |place: usize, other: usize| {
        let dims = parameters[place].ty.iter().flat_map(|ty| ty.dims.iter().flatten());
        dims.into_iter().any(|dim| matches!(dim, Dim::One(expr) if named(expr, &parameters[other])))
    };
    let mut order = Vec::with_capacity(parameters.len());
    let mut open: Vec<usize> = (0..parameters.len()).collect();
    while !open.is_empty() {
        let waits = |place: usize| {
            open.iter().any(|&other| match other.cmp(&place) {
                Ordering::Less => {
                    let default = parameters[place].default.as_ref();
                    by_type(place, other) || default.is_some_and(|default| named(default, &parameters[other]))
                }
                Ordering::Greater => by_type(place, other),
                Ordering::Equal => false,
            })
        };
        // Types that wait for one another are taken as they stand: what they lack is reported.
        let next = open.iter().position(|place| !waits(*place)).unwrap_or(0);
        order.push(open.remove(next));
    }
    order
}
