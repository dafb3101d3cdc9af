//! Formulas as people write them, for dumps and labels.

use std::fmt;

use super::for_each_part;
use super::{Expr, Ref, Term, Unary};

/// The formula in mathematical notation, such as `max(x0 + x1, 0.0)`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = Vec::with_capacity(self.terms.len());
        let mut uses = vec![0usize; self.terms.len()];
        for term in &self.terms {
            for_each_part(term, |r| uses[r.index()] += 1);
        }
        let mut lets = 0;
        for (place, term) in self.terms.iter().enumerate() {
            let at = |r: &Ref| texts[r.index()].clone();
            let text = match term {
                Term::Operand(k, _) => format!("x{k}"),
                Term::Real(v) => format!("{:?}", v.value()),
                Term::Int(v) => format!("{v}"),
                Term::Bool(v) => format!("{v}"),
                Term::Unary(Unary::Neg, a) => format!("(-{})", at(a)),
                Term::Unary(op, a) => format!("{}({})", format!("{op:?}").to_lowercase(), bare(&at(a))),
                Term::Binary(op, a, b) => match op.sign() {
                    Some(sign) => format!("({} {sign} {})", at(a), at(b)),
                    None => {
                        format!("{}({}, {})", format!("{op:?}").to_lowercase(), bare(&at(a)), bare(&at(b)))
                    }
                },
                Term::Select { condition, yes, no } => {
                    format!("select({}, {}, {})", bare(&at(condition)), bare(&at(yes)), bare(&at(no)))
                }
                Term::Cast(to, a) => format!("{to}({})", bare(&at(a))),
            };
            let leaf = matches!(term, Term::Operand(..) | Term::Real(_) | Term::Int(_) | Term::Bool(_));
            if uses[place] > 1 && !leaf {
                write!(f, "t{lets} = {}; ", bare(&text))?;
                texts.push(format!("t{lets}"));
                lets += 1;
            } else {
                texts.push(text);
            }
        }
        let results: Vec<&str> = self.results.iter().map(|r| bare(&texts[r.index()])).collect();
        f.write_str(&results.join(", "))
    }
}

/// The text without the parentheses that enclose all of it.
fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    let mut depth = 0i32;
    for c in inner.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return text,
            ')' => depth -= 1,
            _ => {}
        }
    }
    inner
}
