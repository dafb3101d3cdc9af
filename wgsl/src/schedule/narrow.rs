//! Tensors stored in half precision: the one place that knows of their loads and stores.
//!
//! A kernel computes and sums in `f32` whatever lies in memory. A schedule writes its body as if a narrow binding held
//! `f32`; here each element that the body loads from it is widened, and each that it stores is rounded to the nearest.
//! What is too large becomes infinite, which the loss scale of mixed precision looks at.

use std::fmt::Write as _;

/// What a kernel that binds narrow tensors begins with.
pub(crate) const ENABLE: &str = "enable f16;\n";

/// A binding of halves, one by one or in fours.
pub(crate) struct Narrow {
    pub(crate) name: String,
    pub(crate) wide: bool,
}

impl Narrow {
    /// The type of an element that is read or written, and that of one in memory.
    fn types(&self) -> [&'static str; 2] {
        if self.wide { ["vec4<f32>", "vec4<f16>"] } else { ["f32", "f16"] }
    }
}

/// A text in which the elements of narrow bindings are converted.
///
/// # Panics
/// If the text changes an element in place: no schedule does.
pub(crate) fn converted(text: &str, narrow: &[Narrow]) -> String {
    if narrow.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length =
            if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (token, after) = rest.split_at(length);
        let binding = narrow.iter().find(|one| one.name == token);
        let Some(binding) = binding.filter(|_| after.starts_with('[') && !out.ends_with('.')) else {
            out.push_str(token);
            rest = after;
            continue;
        };
        let close = closing(after);
        let index = converted(&after[1..close], narrow);
        let [wide, stored] = binding.types();
        rest = &after[close + 1..];
        let stores = rest.strip_prefix(" = ");
        assert!(!rest.starts_with(" += "), "no schedule changes `{token}` in place");
        match stores {
            Some(value) => {
                let end = value.find(';').expect("a statement ends with a semicolon");
                let _ = write!(out, "{token}[{index}] = {stored}({});", converted(&value[..end], narrow));
                rest = &value[end + 1..];
            }
            None => {
                let _ = write!(out, "{wide}({token}[{index}])");
            }
        }
    }
    out
}

/// The place of the bracket that closes the one a text begins with.
fn closing(text: &str) -> usize {
    let mut open = 0;
    for (place, c) in text.char_indices() {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return place;
        }
    }
    panic!("a bracket is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(name: &str, wide: bool) -> Narrow {
        Narrow { name: name.to_owned(), wide }
    }

    #[test]
    fn loads_are_widened_and_stores_rounded() {
        let bindings = [narrow("x", false), narrow("w0", true)];
        let found =
            converted("let a = x[keys[i] + 1u] * y[2] + p.x;\nw0[(i) >> 2u] = a + x[3];\n", &bindings);
        assert_eq!(
            found,
            "let a = f32(x[keys[i] + 1u]) * y[2] + p.x;\nw0[(i) >> 2u] = vec4<f16>(a + f32(x[3]));\n"
        );
    }

    #[test]
    fn a_text_without_narrow_bindings_is_left_alone() {
        assert_eq!(converted("x[1] = 2;", &[]), "x[1] = 2;");
        assert_eq!(converted("xs[1] = y.x[2];", &[narrow("x", false)]), "xs[1] = y.x[2];");
    }
}
