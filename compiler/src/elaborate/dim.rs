//! Extents that are known as formulas of free dims: `2*T + 1`, with the number they come to in this build.
//!
//! A dim is a polynomial with whole coefficients over atoms. An atom is a free dim of the model (`N`, `T`) or
//! a quotient that does not come out even (`(T // 2)`), which is opaque: two of them are equal when they are
//! written the same. Two dims are equal when their polynomials are, whatever numbers they come to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most summands of a dim's formula, and the most letters of a quotient in it.
const LONGEST: usize = 4096;

/// The batch dim.
pub const BATCH: &str = "N";

/// A factor of a monomial, by its printed name, with the number it comes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Atom {
    name: String,
    extent: i64,
    batch: bool,
}

/// A polynomial: the coefficient of each product of atoms.
type Terms = BTreeMap<Vec<Atom>, i64>;

/// A whole number known at build time, possibly as a formula of free dims.
#[derive(Clone, Debug)]
pub struct Dim {
    extent: i64,
    /// The formula, where there is a free dim in it. Most dims are numbers, which are copied without allocating.
    terms: Option<Arc<Terms>>,
}

impl PartialEq for Dim {
    fn eq(&self, other: &Dim) -> bool {
        match (&self.terms, &other.terms) {
            (None, None) => self.extent == other.extent,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Eq for Dim {}

impl Dim {
    /// The number `value`.
    #[must_use]
    pub fn constant(value: i64) -> Dim {
        Dim { extent: value, terms: None }
    }

    /// The polynomial `terms`, which comes to `extent`.
    fn of(mut terms: Terms, extent: i64) -> Dim {
        terms.retain(|_, coefficient| *coefficient != 0);
        let number = terms.keys().all(Vec::is_empty);
        Dim { extent, terms: (!number).then(|| Arc::new(terms)) }
    }

    /// As a polynomial.
    fn terms(&self) -> Arc<Terms> {
        match &self.terms {
            Some(terms) => terms.clone(),
            None if self.extent == 0 => Arc::default(),
            None => Arc::new(BTreeMap::from([(Vec::new(), self.extent)])),
        }
    }

    /// The product of atoms and the coefficient of every summand that is no number.
    fn formula(&self) -> impl Iterator<Item = (&Vec<Atom>, &i64)> {
        self.terms.iter().flat_map(|terms| terms.iter())
    }

    /// The free dim `name`, which comes to `extent`.
    #[must_use]
    pub fn symbol(name: &str, extent: i64) -> Dim {
        Dim::atom(Atom { name: name.to_owned(), extent, batch: name == BATCH })
    }

    fn atom(atom: Atom) -> Dim {
        Dim { extent: atom.extent, terms: Some(Arc::new(BTreeMap::from([(vec![atom], 1)]))) }
    }

    /// The number it comes to in this build.
    #[must_use]
    pub fn extent(&self) -> i64 {
        self.extent
    }

    /// The extent of an axis; a dim that came out negative is empty.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.extent).unwrap_or(0)
    }

    /// Its number, when it depends on no free dim.
    #[must_use]
    pub fn as_constant(&self) -> Option<i64> {
        self.terms.is_none().then_some(self.extent)
    }

    /// The summands of its formula: what a product with it costs.
    #[must_use]
    pub fn summands(&self) -> usize {
        self.terms.as_ref().map_or(1, |terms| terms.len())
    }

    /// Whether this is the batch dim itself.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        let mut terms = self.formula();
        let only = terms.next().filter(|_| terms.next().is_none());
        only.is_some_and(|(atoms, coefficient)| {
            *coefficient == 1 && matches!(atoms.as_slice(), [atom] if atom.name == BATCH)
        })
    }

    /// Whether the batch dim is part of it.
    #[must_use]
    pub fn has_batch(&self) -> bool {
        self.formula().any(|(atoms, _)| atoms.iter().any(|atom| atom.batch))
    }

    /// As a polynomial of the batch dim: coefficient by power, the other free dims as their numbers; `None`
    /// where the batch dim is inside a quotient.
    #[must_use]
    pub fn powers_of_batch(&self) -> Option<BTreeMap<usize, i64>> {
        let mut out = BTreeMap::new();
        for (atoms, coefficient) in self.terms().iter() {
            let mut factor = *coefficient;
            let mut power = 0;
            for atom in atoms {
                match (atom.batch, atom.name == BATCH) {
                    (true, true) => power += 1,
                    (true, false) => return None,
                    (false, _) => factor = factor.checked_mul(atom.extent)?,
                }
            }
            let sum: &mut i64 = out.entry(power).or_insert(0);
            *sum = sum.checked_add(factor)?;
        }
        Some(out)
    }

    /// The numbers `a` and `b` where the formula is `a * name + b`, the other free dims as their numbers.
    #[must_use]
    pub fn linear_in(&self, name: &str) -> Option<(i64, i64)> {
        let (mut slope, mut rest) = (0_i64, 0_i64);
        for (atoms, coefficient) in self.terms().iter() {
            let mut factor = *coefficient;
            let mut power = 0;
            for atom in atoms {
                if atom.name == name {
                    power += 1;
                } else if atom.batch || atom.name.starts_with('(') {
                    return None;
                } else {
                    factor = factor.checked_mul(atom.extent)?;
                }
            }
            let sum = match power {
                0 => &mut rest,
                1 => &mut slope,
                _ => return None,
            };
            *sum = sum.checked_add(factor)?;
        }
        (slope != 0).then_some((slope, rest))
    }

    /// `self + other`; `None` past the largest number or the longest formula.
    #[must_use]
    pub fn add(&self, other: &Dim) -> Option<Dim> {
        let extent = self.extent.checked_add(other.extent)?;
        if self.terms.is_none() && other.terms.is_none() {
            return Some(Dim::constant(extent));
        }
        let mut terms = Arc::unwrap_or_clone(self.terms());
        for (atoms, coefficient) in other.terms().iter() {
            let entry = terms.entry(atoms.clone()).or_insert(0);
            *entry = entry.checked_add(*coefficient)?;
        }
        Some(Dim::of(terms, extent))
    }

    /// `-self`
    #[must_use]
    pub fn negate(&self) -> Option<Dim> {
        self.multiply(&Dim::constant(-1))
    }

    /// `self - other`
    #[must_use]
    pub fn subtract(&self, other: &Dim) -> Option<Dim> {
        self.add(&other.negate()?)
    }

    /// `self * other`
    #[must_use]
    pub fn multiply(&self, other: &Dim) -> Option<Dim> {
        let extent = self.extent.checked_mul(other.extent)?;
        if self.terms.is_none() && other.terms.is_none() {
            return Some(Dim::constant(extent));
        }
        let mut terms = Terms::new();
        let factors = other.terms();
        for (left, a) in self.terms().iter() {
            for (right, b) in factors.iter() {
                let mut atoms: Vec<Atom> = left.iter().chain(right).cloned().collect();
                atoms.sort();
                let entry = terms.entry(atoms).or_insert(0);
                *entry = entry.checked_add(a.checked_mul(*b)?)?;
            }
            if terms.len() > LONGEST {
                return None;
            }
        }
        Some(Dim::of(terms, extent))
    }

    /// `self / other` where that is whole for every value of the free dims.
    #[must_use]
    pub fn divide_exactly(&self, other: &Dim) -> Option<Dim> {
        if self.terms.is_none() && other.terms.is_none() {
            let whole = self.extent.checked_rem(other.extent)? == 0;
            return self.extent.checked_div(other.extent).filter(|_| whole).map(Dim::constant);
        }
        let divisor = other.terms();
        let mut divisor = divisor.iter();
        let (Some((atoms, factor)), None) = (divisor.next(), divisor.next()) else { return None };
        let mut terms = Terms::new();
        for (left, coefficient) in self.terms().iter() {
            let mut left = left.clone();
            for atom in atoms {
                let place = left.iter().position(|mine| mine == atom)?;
                left.remove(place);
            }
            if coefficient.checked_rem(*factor)? != 0 {
                return None;
            }
            terms.insert(left, coefficient.checked_div(*factor)?);
        }
        Some(Dim::of(terms, self.extent.checked_div(other.extent)?))
    }

    /// `self // other`, rounded down; `None` when `other` is 0.
    #[must_use]
    pub fn floor_divide(&self, other: &Dim) -> Option<Dim> {
        if let Some(exact) = self.divide_exactly(other) {
            return Some(exact);
        }
        let extent = floor_quotient(self.extent, other.extent)?;
        let Some((whole, rest)) = other.as_constant().and_then(|divisor| self.split(divisor)) else {
            return self.opaque("//", other, extent);
        };
        whole.add(&rest.opaque("//", other, floor_quotient(rest.extent, other.extent)?)?)
    }

    /// The dims `q` and `r` with `self = q * divisor + r`, where the coefficients of `r` lie below `divisor`, so that
    /// `self // divisor` is `q + r // divisor`; `None` where `q` would be 0.
    fn split(&self, divisor: i64) -> Option<(Dim, Dim)> {
        if divisor < 2 {
            return None;
        }
        let mut whole = Terms::new();
        for (atoms, coefficient) in self.terms().iter() {
            whole.insert(atoms.clone(), coefficient.div_euclid(divisor));
        }
        if whole.values().all(|coefficient| *coefficient == 0) {
            return None;
        }
        let extent = whole.iter().try_fold(0_i64, |sum, (atoms, coefficient)| {
            let product =
                atoms.iter().try_fold(*coefficient, |product, atom| product.checked_mul(atom.extent));
            sum.checked_add(product?)
        })?;
        let whole = Dim::of(whole, extent);
        let rest = self.subtract(&whole.multiply(&Dim::constant(divisor))?)?;
        Some((whole, rest))
    }

    /// `self % other`, with the sign of `other`; `None` when `other` is 0.
    #[must_use]
    pub fn remainder(&self, other: &Dim) -> Option<Dim> {
        if self.divide_exactly(other).is_some() {
            return Some(Dim::constant(0));
        }
        let quotient = floor_quotient(self.extent, other.extent)?;
        self.opaque("%", other, self.extent.checked_sub(quotient.checked_mul(other.extent)?)?)
    }

    /// As one side of a quotient, in parentheses where it is more than one factor or atom.
    fn operand(&self) -> String {
        let plain =
            self.formula().all(|(atoms, coefficient)| atoms.len() + usize::from(*coefficient != 1) < 2);
        if plain && self.summands() == 1 { self.to_string() } else { format!("({self})") }
    }

    fn opaque(&self, sign: &str, other: &Dim, extent: i64) -> Option<Dim> {
        if self.as_constant().is_some() && other.as_constant().is_some() {
            return Some(Dim::constant(extent));
        }
        let batch = self.has_batch() || other.has_batch();
        let name = format!("({} {sign} {})", self.operand(), other.operand());
        (name.len() <= LONGEST).then(|| Dim::atom(Atom { name, extent, batch }))
    }
}

/// The quotient rounded down; `None` when `divisor` is 0.
pub(super) fn floor_quotient(value: i64, divisor: i64) -> Option<i64> {
    let quotient = value.checked_div(divisor)?;
    let inexact = value.checked_rem(divisor)? != 0;
    Some(if inexact && (value < 0) != (divisor < 0) { quotient - 1 } else { quotient })
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(terms) = &self.terms else { return write!(f, "{}", self.extent) };
        let mut first = true;
        for (atoms, coefficient) in terms.iter().rev() {
            let sign = match (first, *coefficient < 0) {
                (true, true) => "-",
                (true, false) => "",
                (false, true) => " - ",
                (false, false) => " + ",
            };
            first = false;
            let names: Vec<&str> = atoms.iter().map(|atom| atom.name.as_str()).collect();
            match (coefficient.unsigned_abs(), names.is_empty()) {
                (number, true) => write!(f, "{sign}{number}")?,
                (1, false) => write!(f, "{sign}{}", names.join("*"))?,
                (number, false) => write!(f, "{sign}{number}*{}", names.join("*"))?,
            }
        }
        Ok(())
    }
}

/// Dims as a type prints them: `[N, 10]`.
#[must_use]
pub fn show_dims(dims: &[Dim]) -> String {
    let parts: Vec<String> = dims.iter().map(ToString::to_string).collect();
    format!("[{}]", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dims_are_equal_when_their_formulas_are() {
        let t = Dim::symbol("T", 8);
        let two = Dim::constant(2);
        let doubled = t.multiply(&two).unwrap();
        assert_eq!(t.add(&t).unwrap(), doubled);
        assert_eq!(doubled.floor_divide(&two).unwrap(), t);
        assert_ne!(doubled, Dim::constant(16));
        assert_eq!(doubled.add(&Dim::constant(1)).unwrap().to_string(), "2*T + 1");
    }

    #[test]
    fn quotients_that_do_not_come_out_even_are_opaque() {
        let t = Dim::symbol("T", 9);
        let half = t.floor_divide(&Dim::constant(2)).unwrap();
        assert_eq!((half.extent(), half.to_string().as_str()), (4, "(T // 2)"));
        assert_ne!(half.multiply(&Dim::constant(2)).unwrap(), t);
        let less = t.subtract(&Dim::constant(2)).unwrap().floor_divide(&Dim::constant(2)).unwrap();
        assert_eq!(less.add(&Dim::constant(1)).unwrap(), half);
        assert_eq!(less.extent(), 3);
        let third =
            t.add(&t).unwrap().add(&Dim::constant(1)).unwrap().floor_divide(&Dim::constant(3)).unwrap();
        assert_eq!((third.extent(), third.to_string().as_str()), (6, "((2*T + 1) // 3)"));
        assert_eq!(Dim::constant(-7).floor_divide(&Dim::constant(2)), Some(Dim::constant(-4)));
        assert_eq!(Dim::constant(1).floor_divide(&Dim::constant(0)), None);
    }

    #[test]
    fn a_dim_is_linear_where_a_free_dim_is_multiplied_by_numbers_alone() {
        let (t, s) = (Dim::symbol("T", 9), Dim::symbol("S", 3));
        let odd = t.add(&t).unwrap().add(&Dim::constant(1)).unwrap();
        assert_eq!(odd.linear_in("T"), Some((2, 1)));
        assert_eq!(odd.linear_in("S"), None);
        assert_eq!(t.multiply(&s).unwrap().add(&s).unwrap().linear_in("T"), Some((3, 3)));
        assert_eq!(t.multiply(&t).unwrap().linear_in("T"), None);
        assert_eq!(t.floor_divide(&Dim::constant(2)).unwrap().linear_in("T"), None);
    }

    #[test]
    fn the_batch_dim_is_found_inside_products() {
        let rows = Dim::symbol(BATCH, 4).multiply(&Dim::symbol("T", 5)).unwrap();
        assert!(rows.has_batch());
        assert_eq!(rows.powers_of_batch().unwrap(), BTreeMap::from([(1, 5)]));
    }
}
